"""What links can carry, against the formula worked by hand and figures that others have published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.stats.copy_rates import NVLINK_GBPS, NvLinks, PcieLink, copy_expectation_gbps

GIGABYTE_GBPS = 8


def pcie(speed_gtps, width=16, **changes):
    return copy_expectation_gbps(PcieLink(speed_gtps=speed_gtps, width=width, **changes))


def nvlink(generation, links):
    return copy_expectation_gbps(NvLinks(generation=generation, links=links))


@pytest.mark.parametrize(
    ("speed_gtps", "gigabytes_per_s"),
    [(8.0, 14.4), (16.0, 28.8), (32.0, 57.6)],
)
def test_sixteen_lanes_carry_what_the_formula_gives_by_hand(speed_gtps, gigabytes_per_s):
    # 16 lanes * 16 GT/s / 8 = 32 GB/s; * 128 / 130 = 31.51; * 256 / 280 = 28.81
    assert pcie(speed_gtps) / GIGABYTE_GBPS == pytest.approx(gigabytes_per_s, abs=0.05)


def test_the_share_of_payload_is_what_intel_gives_for_three_words_of_header_and_a_little_less_for_four():
    share = pcie(32.0) / (32.0 * 16 * 128 / 130)

    assert 256 / (256 + 28) < share < 256 / (256 + 20)  # AN 855: 92 %; AN 708: 5 to 7 double words


def test_larger_packets_waste_less():
    shares = [pcie(32.0, payload_bytes=payload) / 504.1 for payload in (128, 256, 512)]

    assert shares == pytest.approx([0.842, 0.914, 0.955], abs=0.001)


@pytest.mark.parametrize(
    ("speed_gtps", "width", "nic_gbps"), [(8.0, 16, 100), (16.0, 16, 200), (32.0, 8, 200), (32.0, 16, 400)]
)
def test_a_slot_carries_the_nic_that_it_is_sold_for_and_not_the_next(speed_gtps, width, nic_gbps):
    assert nic_gbps < pcie(speed_gtps, width) < 2 * nic_gbps


def test_a_gpu_on_pcie_4_that_was_seen_to_receive_23_gigabytes_a_second_is_below_it():
    assert pcie(16.0) > 23 * GIGABYTE_GBPS  # linux-rdma/perftest#241


def test_four_links_between_two_a100_carry_what_was_measured():
    assert nvlink(3, 4) == pytest.approx(93.1 * GIGABYTE_GBPS)


@pytest.mark.parametrize(("generation", "links", "line_gigabytes_per_s"), [(3, 12, 300), (4, 18, 450), (5, 18, 900)])
def test_all_links_of_a_gpu_add_up_to_what_its_maker_says_each_way(generation, links, line_gigabytes_per_s):
    assert NVLINK_GBPS[generation] * links == line_gigabytes_per_s * GIGABYTE_GBPS
    assert nvlink(generation, links) < line_gigabytes_per_s * GIGABYTE_GBPS


def test_collectives_of_a_ring_stay_below_what_links_carry():
    assert nvlink(4, 18) > 370 * GIGABYTE_GBPS  # NVIDIA/nccl-tests#212, without NVLS


@pytest.mark.parametrize(
    "link",
    [
        PcieLink(speed_gtps=None, width=16),
        PcieLink(speed_gtps=32.0, width=None),
        PcieLink(speed_gtps=64.0, width=16),
        PcieLink(speed_gtps=2.5, width=16),
        PcieLink(speed_gtps=32.0, width=16, payload_bytes=0),
        NvLinks(generation=None, links=18),
        NvLinks(generation=2, links=6),
        NvLinks(generation=4, links=None),
        NvLinks(generation=4, links=0),
    ],
)
def test_what_is_not_known_has_no_expectation(link):
    assert copy_expectation_gbps(link) is None


@given(st.sampled_from([8.0, 16.0, 32.0]), st.sampled_from([1, 2, 4, 8, 16]), st.sampled_from([128, 256, 512]))
def test_a_link_never_carries_more_payload_than_bits(speed_gtps, width, payload_bytes):
    assert 0 < pcie(speed_gtps, width, payload_bytes=payload_bytes) < speed_gtps * width
