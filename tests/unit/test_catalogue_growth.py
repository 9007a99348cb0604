"""Growth between two readings: what wraps, stays, is a level, was reset, or could not be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.catalogue.counter import UNREADABLE, Behaviour, Counter
from netprobe.catalogue.growth import growth_of, is_saturated
from netprobe.catalogue.keys import Origin
from netprobe.catalogue.lookup import counter_of

TOP32 = (1 << 32) - 1
widths = st.sampled_from([8, 16, 32])
values = st.integers(min_value=0, max_value=UNREADABLE - 1)


def counter(width_bits, behaviour=Behaviour.WRAPS):
    return Counter(title="a counter", width_bits=width_bits, behaviour=behaviour)


def of(name, origin=Origin.RDMA):
    found = counter_of(origin, name)
    assert found is not None and found.is_recognised
    return found


@pytest.mark.parametrize(
    ("name", "before", "after", "grown"),
    [
        ("out_of_sequence", 7, 12, 5),
        ("out_of_sequence", TOP32 - 5, 4, 10),  # 5 to the top, one to 0, 4 more
        ("out_of_sequence", 9, 8, None),
        ("out_of_sequence", 3_000_000_000, 0, None),  # rather a reset than 1.3e9 packets out of sequence
        ("np_cnp_sent", TOP32, 4, None),  # 64 bits: nothing to wrap
        ("duplicate_request", TOP32 + 10, 4, None),  # a driver that counts wider
        ("link_downed", 254, 255, 1),
        ("link_downed", 255, 255, None),
        ("link_downed", 255, 0, None),
        ("link_downed", 256, 260, 4),  # wider than the standard asks for
        ("excessive_buffer_overrun_errors", 15, 15, None),
        ("excessive_buffer_overrun_errors", 3, 15, 12),
        ("symbol_error", 65_535, 65_535, None),
        ("symbol_error", 65_534, 65_535, 1),
        ("port_xmit_data", TOP32, TOP32, None),
        ("port_xmit_data", 178_791_657_177_235, 178_791_657_177_335, 100),
        ("active_qps", 3, 9, None),
        ("current_rate", 3, 9, None),
        ("lifespan", 10, 20, None),
        ("clear_counters", 0, 1, None),
        ("tx_rdma_ack_timeout", 5, UNREADABLE, None),
        ("tx_rdma_ack_timeout", UNREADABLE, 5, None),
        ("tx_rdma_ack_timeout", UNREADABLE, UNREADABLE, None),
    ],
)
def test_growth_is_what_two_readings_tell(name, before, after, grown):
    assert growth_of(of(name), before, after) == grown


@pytest.mark.parametrize("name", ["outbound_pci_stalled_rd", "outbound_pci_stalled_wr"])
def test_a_share_of_the_last_second_has_no_growth(name):
    assert growth_of(of(name, Origin.ETHTOOL), 10, 90) is None


@pytest.mark.parametrize(
    ("name", "value", "is_at_its_largest"),
    [
        ("link_downed", 255, True),
        ("link_downed", 254, False),
        ("excessive_buffer_overrun_errors", 15, True),
        ("port_rcv_errors", 65_535, True),
        ("out_of_sequence", TOP32, False),
    ],
)
def test_only_a_counter_that_stays_is_ever_at_its_largest(name, value, is_at_its_largest):
    assert is_saturated(of(name), value) == is_at_its_largest


@given(widths, st.data())
def test_a_counter_that_wrapped_once_tells_all_that_it_grew_by(width_bits, data):
    span = 1 << width_bits
    before = data.draw(st.integers(0, span - 1))
    grown = data.draw(st.integers(0, span // 8))

    assert growth_of(counter(width_bits), before, (before + grown) % span) == grown


@given(st.sampled_from([16, 32]), st.data())
def test_a_counter_that_went_back_by_a_little_was_reset(width_bits, data):
    span = 1 << width_bits
    before = data.draw(st.integers(1, span - 1))
    back = data.draw(st.integers(1, min(before, span * 7 // 8 - 1)))

    assert growth_of(counter(width_bits), before, before - back) is None


@given(values, values)
def test_a_counter_of_64_bits_and_one_that_nobody_knows_grow_or_were_reset(before, after):
    expected = after - before if after >= before else None

    assert growth_of(counter(64), before, after) == expected
    assert growth_of(None, before, after) == expected


@given(st.sampled_from(Behaviour), widths, values, values)
def test_growth_is_never_negative_nor_larger_than_the_later_reading_and_a_wrap(behaviour, width_bits, before, after):
    grown = growth_of(counter(width_bits, behaviour), before, after)

    assert grown is None or 0 <= grown <= max(after, (1 << width_bits) // 8)


@given(values, values)
def test_levels_and_settings_never_grow(before, after):
    for behaviour in (Behaviour.GAUGE, Behaviour.SETTING):
        assert growth_of(counter(64, behaviour), before, after) is None
