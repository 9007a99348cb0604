"""What counters of NICs say of links, flow control and congestion control: who is to blame, and who never is."""

from dataclasses import replace

import numpy as np
import pytest
from detector_scenario import answers, evidence_in, findings, gaps

from netprobe.detectors._signatures import MATRIX, Trend, shows
from netprobe.model.finding import Confidence, Finding, Severity
from netprobe.model.inventory import Neighbour
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning
from netprobe.registry import detectors

ON_NICS = (
    "physical-errors", "link-flap", "out-of-order", "rnr-stall", "pause-source", "pause-victim", "pause-storm",
    "pfc-missing", "pfc-wrong-priority", "one-sided-marking", "ecn-inactive",
)  # fmt: skip
EVERYBODY_WELL = """
[[nics]]
name = "mlx5_0"

[[pairs]]
probe = "bidirectional"
size = "64K"
gbps = 380.0

[[counted]]
span = "load"
grown = { "crc-error" = 0, "rdma-sent-packets" = 1_000_000, "pause-received" = 1, "sequence-nak" = 0 }

[[counted]]
span = "rounds"
grown = { "sequence-nak" = 0, "out-of-sequence" = 0, "ack-timeout" = 0, "duplicate-request" = 0, "implied-nak" = 0 }

[[counted]]
span = "rounds"
grown = { "rdma-sent-packets" = 1_000_000, "rdma-received-packets" = 1_000_000 }
"""


def fabric(hosts, *lines):
    """Return a scenario in which every NIC counts and nothing is wrong, but for these lines."""
    names = ", ".join(f'"h{number}"' for number in range(1, hosts + 1))
    return f"hosts = [{names}]\n{EVERYBODY_WELL}" + "".join(f"\n{line}\n" for line in lines)


def counted(on=(), to=(), span="load", seconds=10.0, by_priority=None, **grown):
    """Return a line of counters; names of meanings are written with underscores."""
    told = ", ".join(f'"{name.replace("_", "-")}" = {value}' for name, value in grown.items())
    by = ", ".join(f'"{name.replace("_", "-")}" = {value}' for name, value in (by_priority or {}).items())
    ends = "".join(f"{key} = {list(hosts)}\n" for key, hosts in (("on", on), ("with", to)) if hosts)
    lines = f'[[counted]]\nspan = "{span}"\nseconds = {seconds}\n{ends}grown = {{ {told} }}\n'
    return lines + (f"by_priority = {{ {by} }}\n" if by else "")


def in_rounds(on=(), to=(), **grown):
    return counted(on=on, to=to, span="rounds", **grown)


TWO_LEAVES = {"h1": "leaf1", "h2": "leaf1", "h3": "leaf2", "h4": "leaf2"}


def answers_behind(id, text, leaf_of):
    """Return the answers of a detector where the cables of these hosts end at the leaf of this name."""
    evidence = evidence_in(text)
    inventories = {
        host: replace(
            told,
            net_devices=tuple(
                replace(each, neighbour=Neighbour(system=leaf_of[host], port=host) if host in leaf_of else None)
                for each in told.net_devices
            ),
        )
        for host, told in evidence.inventories.items()
    }
    return list(detectors()[id].detect(replace(evidence, inventories=inventories), Limits()))


def lost(src, dst, count=1000):
    """Return what the NICs count when packets of one direction are lost: NAKs here, holes and fewer packets there."""
    holes = in_rounds(on=dst, to=src, out_of_sequence=count, rdma_received_packets=1_000_000 - count)
    return f"{in_rounds(on=src, to=dst, sequence_nak=count)}\n{holes}"


@pytest.mark.parametrize("id", ON_NICS)
def test_hosts_without_nic_counters_add_nothing_to_a_report(id):
    text = 'hosts = ["h1", "h2", "h3"]\n[[pairs]]\nprobe = "bandwidth"\nsize = "8M"\ngbps = 20.0\n'

    assert answers(id, text) == []


@pytest.mark.parametrize("id", ON_NICS)
def test_an_interface_without_rdma_is_no_gap(id):
    text = 'hosts = ["h1", "h2", "h3"]\n[[nics]]\nnetdev = "eth0"\n[[counted]]\ngrown = { "wire-sent-bytes" = 5 }\n'

    assert answers(id, text) == []


def test_detectors_that_lack_the_same_counters_say_so_in_the_same_words():
    text = 'hosts = ["h1", "h2", "h3"]\n[[nics]]\nname = "mlx5_0"\n[[counted]]\ngrown = { "crc-error" = 0 }\n'

    told = {gap.reason for id in ("pause-source", "pause-victim", "pfc-missing") for gap in gaps(id, text)}

    assert told == {"cannot be told: mlx5_core did not count pauses on 3 of 3 RDMA ports"}


def test_a_port_that_is_down_is_not_asked():
    text = 'hosts = ["h1", "h2"]\n[[nics]]\nname = "mlx5_0"\nport = { state = "DOWN" }\n[[counted]]\n'

    assert answers("pause-source", text + 'grown = { "crc-error" = 0 }\n') == []


def test_every_fault_of_the_matrix_has_a_sign_and_says_what_separates_it():
    assert all(row.signs and row.scope and row.separated_by for row in MATRIX)
    assert len({row.fault for row in MATRIX}) == len(MATRIX)


def test_a_counter_that_nobody_has_contradicts_no_row_and_proves_none():
    ports = evidence_in(fabric(3)).ports

    for row in MATRIX:
        needs = any(sign.trend is Trend.RISES for sign in row.signs)
        assert shows(row.fault, ports).any() == (not needs or row.fault in ("F26", "F32")), row.fault


def test_a_row_about_other_hosts_does_not_count_the_ports_own():
    text = fabric(2, counted(sequence_nak=5, pause_received=0), counted(on=["h1"], pause_received=9))

    assert shows("F23", evidence_in(text).ports).tolist() == [False, True]


def test_pauses_at_a_nic_of_management_say_nothing_of_the_fabric():
    mgmt = '[[nics]]\nnetdev = "mgmt0"'
    paused = counted(on=["h3"], pause_received=9).replace("grown", 'nic = "mgmt0"\ngrown')
    text = fabric(4, mgmt, counted(pause_received=0), counted(on=["h2"], sequence_nak=500), paused)

    assert np.nansum(evidence_in(text).ports.grown(Meaning.PAUSE_RECEIVED)) == 9
    assert findings("pfc-missing", text) == []


def test_a_port_that_loses_what_it_sends_is_named_by_both_ends_and_its_switch_port_is_to_be_read():
    (finding,) = findings("packet-loss", fabric(4, lost(["h2"], ["h1", "h3", "h4"])))

    assert finding.subjects == ("h2 mlx5_0",)
    assert finding.hosts == ("h2",)
    assert "loses 0.1 % of what it sends (tx): 3,000 of 3,000,000 packets of RDMA" in finding.summary
    assert "its receive side (0 of 3,000,000 packets lost)" in finding.excluded
    assert (finding.severity, finding.confidence) == (Severity.BLOCKS, Confidence.HIGH)


def test_a_port_that_loses_what_it_receives_is_named_and_its_senders_are_not():
    (finding,) = findings("packet-loss", fabric(4, lost(["h1", "h3", "h4"], ["h2"])))

    assert finding.subjects == ("h2 mlx5_0",)
    assert "what it should receive (rx)" in finding.summary


def test_a_timeout_where_the_request_had_arrived_is_a_loss_on_the_way_back():
    waits = in_rounds(on=["h1"], to=["h2"], ack_timeout=200)
    knows = in_rounds(on=["h2"], to=["h1"], duplicate_request=200)

    (finding,) = findings("packet-loss", fabric(4, waits, knows))

    assert finding.subjects == ("h2 -> h1",)
    assert "200 acknowledgements among them" in finding.summary


def test_a_timeout_where_nothing_had_arrived_is_a_loss_of_what_was_sent():
    (finding,) = findings("packet-loss", fabric(4, in_rounds(on=["h1"], to=["h2"], ack_timeout=200)))

    assert finding.subjects == ("h1 -> h2",)


def test_lost_answers_to_reads_are_lost_by_who_answers():
    (finding,) = findings("packet-loss", fabric(4, in_rounds(on=["h1"], to=["h2"], implied_nak=200)))

    assert finding.subjects == ("h2 -> h1",)
    assert "200 answers to reads among them" in finding.summary


def test_traffic_that_the_nics_counted_needs_no_counters_of_tcp():
    assert answers("packet-loss", fabric(4)) == []


def test_a_driver_that_counts_packets_sent_again_alone_cannot_tell_whether_any_were_lost():
    untold = dict.fromkeys(
        ("sequence_nak", "out_of_sequence", "ack_timeout", "duplicate_request", "implied_nak"), "nan"
    )
    text = fabric(4, in_rounds(**untold), in_rounds(retransmitted=0))

    assert answers("packet-loss", text) == gaps("packet-loss", text)
    assert any("did not count lost packets of RDMA on 4 of 4" in gap.reason for gap in gaps("packet-loss", text))
    assert gaps("out-of-order", text) != []


def test_an_idle_nic_beside_another_transport_clears_nothing():
    text = fabric(4, in_rounds(rdma_sent_packets=10, rdma_received_packets=10))

    assert [gap.reason for gap in gaps("packet-loss", text)] == [
        "lost packets between hosts cannot be told: TCP's counters were not read there"
    ]


def test_packets_that_all_arrived_overtook_each_other_and_are_told_once():
    late = in_rounds(sequence_nak=5000, out_of_sequence=9000)

    (finding,) = findings("out-of-order", fabric(4, late))

    assert finding.subjects == ("fabric",)
    assert finding.hosts == ()
    assert findings("packet-loss", fabric(4, late)) == []


def test_packets_that_did_not_arrive_were_lost_and_are_told_once():
    text = fabric(4, lost(["h2"], ["h1", "h3", "h4"]))

    assert findings("out-of-order", text) == []
    assert len(findings("packet-loss", text)) == 1


def test_a_sender_that_waited_in_vain_has_lost_something():
    late = in_rounds(sequence_nak=5000, out_of_sequence=9000, ack_timeout=3)

    assert findings("out-of-order", fabric(4, late)) == []
    assert findings("packet-loss", fabric(4, late)) != []


def test_damage_makes_holes_a_loss():
    late = in_rounds(sequence_nak=5000, out_of_sequence=9000)

    assert findings("out-of-order", fabric(4, late, counted(crc_error=50))) == []


def test_without_counted_packets_only_a_pattern_everywhere_is_overtaking():
    blind = in_rounds(rdma_sent_packets="nan", rdma_received_packets="nan", wire_sent_packets=1_000_000)
    holes = {"sequence_nak": 5000, "out_of_sequence": 9000}

    assert len(findings("out-of-order", fabric(4, blind, in_rounds(**holes)))) == 1
    assert findings("packet-loss", fabric(4, blind, in_rounds(**holes))) == []
    assert findings("out-of-order", fabric(4, blind, in_rounds(on=["h2"], **holes))) == []


@pytest.mark.parametrize(("knows_leaves", "confidence"), [(True, Confidence.MEDIUM), (False, Confidence.LOW)])
def test_a_pattern_alone_makes_overtaking_probable_and_does_not_prove_it(knows_leaves, confidence):
    blind = in_rounds(rdma_sent_packets="nan", rdma_received_packets="nan", wire_sent_packets=1_000_000)
    text = fabric(4, blind, in_rounds(sequence_nak=2000))
    for a, b in (("h1", "h2"), ("h2", "h1"), ("h3", "h4"), ("h4", "h3")) if knows_leaves else ():
        text += in_rounds(on=[a], to=[b], sequence_nak=0)

    (finding,) = answers_behind("out-of-order", text, TWO_LEAVES if knows_leaves else {})

    assert finding.confidence is confidence
    assert "probably overtake others" in finding.summary
    assert "drops" in finding.next_action
    assert not any("loss on the way" in each for each in finding.excluded)


def test_one_receiver_that_is_overtaken_is_set_otherwise_than_the_others():
    senders = in_rounds(to=["h2"], sequence_nak=5000)
    (finding,) = findings("out-of-order", fabric(4, senders, in_rounds(on=["h2"], out_of_sequence=9000)))

    assert finding.subjects == ("h2 mlx5_0",)
    assert finding.hosts == ("h2",)


@pytest.mark.parametrize(("errors", "severity"), [(10, Severity.DEGRADES), (10_000, Severity.BLOCKS)])
def test_damage_blocks_when_there_is_much_of_it(errors, severity):
    (finding,) = findings(
        "physical-errors", fabric(3, counted(on=["h2"], crc_error=errors, wire_received_packets=1_000_000))
    )

    assert finding.severity is severity


def test_what_was_marked_as_bad_further_up_blames_nobody_here():
    assert findings("physical-errors", fabric(3, counted(on=["h2"], remote_physical_error=50))) == []


def test_damage_behind_an_intact_frame_is_not_the_cables():
    (finding,) = findings("physical-errors", fabric(3, counted(on=["h2"], icrc_error=5)))

    assert finding.hosts == ()
    assert "the link itself was clean (ICRC)" in finding.summary
    assert "memory errors" in finding.next_action


def test_packets_changed_on_the_way_are_one_fault_whoever_notices():
    (finding,) = findings("physical-errors", fabric(4, counted(on=["h2", "h3"], icrc_error=50)))

    assert finding.hosts == ()
    assert "100 under load" in finding.summary
    assert "in common" not in finding.summary


def test_packets_that_only_one_partner_changes_point_to_it():
    rounds = in_rounds(icrc_error=0), in_rounds(on=["h2", "h3"], to=["h4"], icrc_error=50)
    (finding,) = findings("physical-errors", fabric(4, *rounds, counted(on=["h2", "h3"], icrc_error=50)))

    assert finding.hosts == ()
    assert finding.subjects[0] == "h4"


def test_packets_that_every_host_of_a_leaf_finds_changed_point_to_the_leaf():
    text = fabric(4, counted(on=["h1", "h2"], icrc_error=50))

    (finding,) = [each for each in answers_behind("physical-errors", text, TWO_LEAVES) if isinstance(each, Finding)]

    assert finding.subjects[0] == "leaf leaf1"
    assert finding.hosts == ()


def test_a_port_whose_link_damages_too_is_named_for_its_link():
    (finding,) = findings("physical-errors", fabric(3, counted(on=["h2"], icrc_error=5, crc_error=5)))

    assert finding.hosts == ("h2",)


def test_a_port_that_corrects_far_more_than_its_peers_is_warned_of_and_kept():
    fleet = counted(fec_corrected=1000, raw_bits=1_000_000_000_000)
    (finding,) = findings("physical-errors", fabric(4, fleet, counted(on=["h2"], fec_corrected=200_000)))

    assert (finding.severity, finding.hosts) == (Severity.WARNS, ())
    assert "the median port of its rate has 1e-09" in finding.summary


def test_a_counter_at_its_largest_value_tells_at_least():
    line = counted(on=["h2"], link_down=255) + 'at_least = ["link-down"]\n'

    (finding,) = findings("link-flap", fabric(3, line))

    assert "went down at least 255 times" in finding.summary


def test_a_link_that_only_retrained_is_a_warning():
    (finding,) = findings("link-flap", fabric(3, counted(on=["h2"], link_down=0, link_recovered=2)))

    assert (finding.severity, finding.hosts) == (Severity.WARNS, ())


CARRIER = """
hosts = ["h1", "h2", "h3"]
[[nics]]
netdev = "eth0"
[[pairs]]
probe = "bidirectional"
size = "8"
gbps = 1.0
[[counters]]
on = "h2"
with = "h3"
grown = {{ "eth0/carrier_changes" = {changes} }}
"""


def test_the_kernels_count_of_the_carrier_names_an_interface_that_no_nic_counts():
    text = CARRIER.format(changes=2)

    (finding,) = findings("link-flap", text)

    assert finding.subjects == ("h2 eth0",)
    assert findings("link-flap", text.replace("eth0/carrier", "docker0/carrier")) == []


@pytest.mark.parametrize(("changes", "times"), [(1, "1 time"), (3, "2 times")])
def test_a_carrier_that_went_and_did_not_come_back_is_told(changes, times):
    (finding,) = findings("link-flap", CARRIER.format(changes=changes))

    assert finding.summary == f"its link went down {times} during the run"
    assert "an odd number: the link is down now" in finding.facts[0].basis


def test_a_receiver_without_buffers_is_named_and_its_senders_are_not():
    (finding,) = findings("rnr-stall", fabric(4, in_rounds(rnr_nak=0), in_rounds(to=["h2"], rnr_nak=50)))

    assert finding.hosts == ("h2",)
    assert "the senders (they were asked to wait)" in finding.excluded


def test_receivers_that_are_all_late_are_nobodys_fault():
    (finding,) = findings("rnr-stall", fabric(4, in_rounds(rnr_nak=50)))

    assert (finding.subjects, finding.hosts) == (("many hosts",), ())


def test_a_receiver_without_buffers_in_collectives_is_named_by_its_own_count():
    in_pairs = in_rounds(rnr_nak=0, no_receive_buffer=0)
    told = counted(rnr_nak=600_000, no_receive_buffer=0)
    late = counted(on=["h2"], rnr_nak=0, no_receive_buffer=5_000_000)

    (finding,) = findings("rnr-stall", fabric(4, in_pairs, told, late))

    assert (finding.hosts, finding.confidence) == (("h2",), Confidence.MEDIUM)
    assert "5,000,000 packets met none, by its own count" in finding.summary


def test_what_ethernet_alone_lacked_buffers_for_blames_nobody():
    quiet = counted(rnr_nak=0, no_receive_buffer=0)

    assert (
        findings("rnr-stall", fabric(4, in_rounds(rnr_nak=0), quiet, counted(on=["h2"], no_receive_buffer=900))) == []
    )


def test_what_rounds_tell_of_a_receiver_is_not_told_again_of_the_load():
    rounds = in_rounds(to=["h2"], rnr_nak=50), in_rounds(on=["h2"], no_receive_buffer=50)
    load = counted(on=["h1", "h3", "h4"], rnr_nak=50), counted(on=["h2"], rnr_nak=0, no_receive_buffer=150)

    (finding,) = findings("rnr-stall", fabric(4, *rounds, *load))

    assert finding.confidence is Confidence.HIGH
    assert finding.summary.endswith("refused 150 messages of its partners")


def test_refusals_that_no_receiver_counts_are_told_and_blame_nobody():
    (finding,) = findings("rnr-stall", fabric(4, in_rounds(rnr_nak=0), counted(on=["h1", "h3"], rnr_nak=600_000)))

    assert (finding.hosts, finding.confidence) == ((), Confidence.LOW)
    assert "1,200,000 messages were refused" in finding.summary


def test_who_is_late_in_rounds_explains_what_was_refused_beyond_them():
    text = fabric(4, in_rounds(rnr_nak=0), in_rounds(to=["h2"], rnr_nak=50), counted(on=["h1"], rnr_nak=900))

    assert [each.hosts for each in findings("rnr-stall", text)] == [("h2",)]


def test_a_narrow_slot_is_told_with_the_pauses_that_it_explains():
    slot = '[[nics]]\nname = "mlx5_0"\non = ["h2"]\npci = { width = 8 }'
    (finding,) = findings("pause-source", fabric(4, slot, counted(on=["h2"], pause_sent_time=2e9)))

    assert finding.summary.endswith("its PCIe link runs 8 of 16 lanes")
    assert (finding.severity, finding.confidence) == (Severity.BLOCKS, Confidence.HIGH)


def test_frames_without_their_time_are_at_most_so_long_and_blame_nobody():
    (finding,) = findings("pause-source", fabric(4, counted(on=["h2"], pause_sent=100_000)))

    assert "at most 84 % of the time under load" in finding.summary
    assert (finding.severity, finding.confidence, finding.hosts) == (Severity.WARNS, Confidence.MEDIUM, ())


UNRATED = '[[nics]]\nname = "mlx5_0"\nport = { rate_gbps = "none" }\n'


def test_the_rate_of_the_interface_tells_what_frames_mean_where_rdma_tells_none():
    text = fabric(4, UNRATED, counted(on=["h2"], pause_sent=100_000))

    assert findings("pause-source", text)[0].summary.count("at most 84 % of the time") == 1


@pytest.mark.parametrize(
    ("id", "line"),
    [
        ("pause-source", counted(on=["h2"], pause_sent=1_000_000)),
        ("pause-victim", counted(on=["h2"], pause_received=1_000_000)),
        ("pause-storm", counted(on=["h2"], span="idle-before", seconds=2.0, pause_sent=200_000)),
    ],
)
def test_frames_of_pause_at_a_port_of_unknown_rate_are_a_gap(id, line):
    idle = counted(span="idle-before", seconds=2.0, pause_sent=0)
    unrated = f'{UNRATED}net = {{ speed_gbps = "none" }}\n'

    assert findings(id, fabric(4, unrated, counted(pause_sent=0, pause_received=0), idle, line)) == []
    (gap,) = gaps(id, fabric(4, unrated, counted(pause_sent=0, pause_received=0), idle, line))
    assert "did not count how long pauses last" in gap.reason
    assert gap.reason.endswith("on 1 of 4 RDMA ports")


def test_no_port_stands_still_for_longer_than_there_was():
    (finding,) = findings("pause-source", fabric(4, counted(on=["h2"], pause_sent_time=12e9)))

    assert "100 % of the time" in finding.summary


def idle_pauses(span="idle-before", **grown):
    """Return an idle time in which all is counted and h2 does this."""
    nothing = {"pause_sent": 0, "pause_received_time": 0, "rdma_received_bytes": 0}
    return counted(span=span, seconds=2.0, **nothing), counted(on=["h2"], span=span, seconds=2.0, **grown)


def test_pauses_at_idle_are_a_storm():
    (finding,) = findings("pause-storm", fabric(4, *idle_pauses(pause_sent_time=1e8)))

    assert (finding.severity, finding.confidence, finding.hosts) == (Severity.BLOCKS, Confidence.HIGH, ("h2",))
    assert "congestion (it moved 0 % of its rate)" in finding.excluded


@pytest.mark.parametrize("bytes_of", ["rdma_received_bytes", "wire_received_bytes", "wire_sent_bytes"])
def test_pauses_beside_somebody_elses_traffic_are_no_storm(bytes_of):
    text = fabric(4, *idle_pauses(pause_sent_time=1e8, **{bytes_of: 88e9}))

    assert findings("pause-storm", text) == []
    (gap,) = gaps("pause-storm", text)
    assert "somebody else's traffic ran in the idle time (idle-before) at h2 mlx5_0, up to 352 Gb/s" in gap.reason


def test_a_port_that_is_held_beside_somebody_elses_traffic_is_in_no_deadlock():
    text = fabric(4, *idle_pauses("idle-after", pause_received_time=1.9e9, rdma_sent_bytes=88e9))

    assert findings("pause-storm", text) == []
    assert len(gaps("pause-storm", text)) == 1


def test_where_no_bytes_are_counted_it_is_not_claimed_that_nothing_was_sent():
    unseen = counted(on=["h2"], span="idle-before", seconds=2.0, pause_sent_time=1e8)

    (finding,) = findings("pause-storm", fabric(4, unseen))

    assert (finding.severity, finding.confidence) == (Severity.BLOCKS, Confidence.MEDIUM)
    assert not any("congestion" in each for each in finding.excluded)
    assert "while nothing runs" not in finding.summary


def test_frames_at_idle_without_their_time_blame_nobody():
    (finding,) = findings("pause-storm", fabric(4, *idle_pauses(pause_sent=250)))

    assert "at most 1 % of the time" in finding.summary
    assert (finding.severity, finding.confidence, finding.hosts) == (Severity.WARNS, Confidence.MEDIUM, ())


def test_who_stops_others_at_idle_beside_somebody_elses_traffic_is_no_source_of_all_pauses():
    load = (
        counted(pause_sent_time=0),
        counted(on=["h1"], pause_received_time=2e9),
        counted(on=["h3"], pause_sent_time=2e9),
    )
    beside = idle_pauses(pause_sent_time=1e8, rdma_received_bytes=88e9)

    assert findings("pause-victim", fabric(4, *load, *beside))[0].subjects == ("h3 mlx5_0",)


def test_where_nobody_counts_the_pauses_he_sends_it_is_not_said_that_nobody_sends_any():
    (finding,) = findings("pause-victim", fabric(4, counted(on=["h1", "h2"], pause_received_time=2e9)))

    assert "no host stops others" not in finding.summary
    assert "by whom cannot be told: 4 of 4 RDMA ports do not count the pauses that they send" in finding.summary
    assert finding.excluded == ("those who are stopped (they are not known to stop anybody)",)


def test_a_deadlock_is_not_told_where_nobody_counts_the_pauses_he_sends():
    held = counted(on=["h1", "h2"], span="idle-after", seconds=2.0, pause_received_time=1.9e9)

    assert findings("pause-storm", fabric(4, held)) == []


def test_a_victim_of_nobody_points_to_the_fabric_or_to_its_own_switch_port():
    both = counted(pause_sent_time=0) + counted(on=["h1", "h2"], pause_received_time=2e9)
    one = counted(pause_sent_time=0) + counted(on=["h1"], pause_received_time=2e9)

    assert findings("pause-victim", fabric(4, both))[0].subjects == ("fabric",)
    assert findings("pause-victim", fabric(4, one))[0].subjects == ("the switch port of h1 mlx5_0",)


@pytest.mark.parametrize("text", [counted(on=["h1"], pause_received_time=9e9)])
def test_who_is_stopped_is_never_left_out(text):
    assert all(finding.hosts == () for finding in findings("pause-victim", fabric(4, text)))


def test_a_watchdog_that_stepped_in_blocks_without_idle_pauses():
    (finding,) = findings("pause-storm", fabric(4, counted(on=["h2"], pause_storm=1)))

    assert (finding.severity, finding.hosts) == (Severity.BLOCKS, ("h2",))


def test_ports_that_are_held_after_the_run_by_nobody_are_locked():
    idle = counted(span="idle-after", seconds=2.0, pause_sent=0, pause_received_time=0)
    held = counted(on=["h1", "h2"], span="idle-after", seconds=2.0, pause_received_time=1.9e9)

    (finding,) = findings("pause-storm", fabric(4, idle, held))

    assert (finding.subjects, finding.hosts) == (("fabric",), ())
    assert "a deadlock of flow control" in finding.summary


def test_pauses_that_are_never_lifted_point_to_the_switch_port():
    (finding,) = findings("pause-storm", fabric(4, counted(on=["h1"], pause_received_time=2e9, pause_transitions=0)))

    assert finding.subjects == ("the switch port of h1 mlx5_0",)


def drops_in(priority, pauses_in=3):
    dropped, paused = [0] * 8, [0] * 8
    dropped[priority], paused[pauses_in] = 5_000, 40
    return counted(on=["h2"], by_priority={"port_discard": dropped, "pause_sent": paused})


def test_a_receiver_that_drops_what_it_asks_to_pause_is_not_heeded():
    (finding,) = findings("pfc-missing", fabric(4, drops_in(3)))

    assert "drops 5,000 packets that it receives although it asks for pauses in priority 3" in finding.summary
    assert "does not heed them" in finding.summary
    assert (finding.confidence, finding.hosts) == (Confidence.HIGH, ("h2",))


def test_drops_in_a_priority_that_nobody_pauses_are_no_pauses_unheeded():
    assert findings("pfc-missing", fabric(4, drops_in(0))) == []


def test_drops_and_pauses_that_are_not_told_by_priority_may_be_of_two_and_blame_no_host():
    (finding,) = findings("pfc-missing", fabric(4, counted(on=["h2"], port_discard=500, pause_sent=900)))

    assert "does not heed them, or they are of another priority" in finding.summary
    assert (finding.confidence, finding.hosts) == (Confidence.MEDIUM, ())


def test_a_sender_that_is_paused_and_loses_has_too_little_headroom():
    (finding,) = findings("pfc-missing", fabric(4, counted(on=["h2"], sequence_nak=500, pause_received=900)))

    assert "too little headroom" in finding.summary
    assert finding.hosts == ()


def provoked(on=(), **grown):
    return counted(on=on, span="provoked", **grown)


LOADED = provoked(sequence_nak=0, out_of_sequence=0, ack_timeout=0, pause_received=900, rdma_sent_packets=1_000_000)


@pytest.mark.parametrize(("asked", "answers"), [(3, 1), (2, 0)])
def test_what_senders_only_waited_for_under_an_incast_may_have_lost_its_acknowledgement(asked, answers):
    waits = provoked(on=["h2"], sequence_nak=asked, ack_timeout=5000)

    assert len(findings("headroom", fabric(4, LOADED, waits))) == answers


@pytest.mark.parametrize(("at_the_receiver", "answers"), [(4000, 0), (3900, 1)])
def test_what_overtakes_without_load_at_a_receiver_accounts_for_what_its_senders_lose_to_it(at_the_receiver, answers):
    late = "\n".join(in_rounds(on=[src], to=["h4"], sequence_nak=9000) for src in ("h1", "h2", "h3"))
    holes = in_rounds(on=["h4"], out_of_sequence=9000)
    under_load = provoked(on=["h2"], sequence_nak=4000), provoked(on=["h4"], out_of_sequence=at_the_receiver)

    assert len(findings("headroom", fabric(4, late, holes, LOADED, *under_load))) == answers


@pytest.mark.parametrize(("asked", "answers"), [(1000, 0), (1001, 1)])
def test_under_load_a_port_loses_no_more_than_a_lossy_link_of_its_rail_explains(asked, answers):
    leaf_of = {f"h{number}": f"leaf{(number + 1) // 2}" for number in range(1, 9)}
    ways = (("h1", "h3"), ("h2", "h5"), ("h1", "h7"), ("h2", "h4"), ("h1", "h6"), ("h2", "h8"))
    of_link = [lost([src], [dst]) for src, dst in ways]  # 0.1 % of each, from one leaf to all others
    text = fabric(8, *of_link, LOADED, provoked(on=["h1"], sequence_nak=asked))

    assert [each.subjects for each in answers_behind("packet-loss", text, leaf_of)] == [("leaf leaf1 -> spines",)]
    told = [each for each in answers_behind("headroom", text, leaf_of) if isinstance(each, Finding)]
    assert len(told) == answers


@pytest.mark.parametrize(("loaded", "answers"), [(80_000_000, 1), (120_000_000, 0)])
def test_what_is_lost_under_load_is_held_against_what_was_sent_under_load(loaded, answers):
    alone = 3_000_000  # packets that h2 sent in its rounds with three others, in which nothing was lost
    line = counted(on=["h2"], sequence_nak=100, pause_received=900, rdma_sent_packets=loaded + alone)

    assert len(findings("pfc-missing", fabric(4, line))) == answers


def test_the_rounds_of_two_hosts_do_not_dilute_a_loss_under_load():
    rounds = in_rounds(rdma_sent_packets=80_000_000, rdma_received_packets=80_000_000)
    line = counted(on=["h2"], sequence_nak=100, pause_received=900, rdma_sent_packets=320_000_000)

    (finding,) = findings("pfc-missing", fabric(4, rounds, line))

    assert finding.facts[0].observed.startswith("100, 0.00013 %")


def unrounded(*lines):
    """Return a fabric whose counters were read before and after somebody else's load."""
    nics, _, rest = EVERYBODY_WELL.partition("[[pairs]]")
    load = rest.partition("[[counted]]")[2].partition("[[counted]]")[0]
    return fabric(4, *lines).replace(EVERYBODY_WELL, f"{nics}[[counted]]{load}")


@pytest.mark.parametrize(("stopped_ns", "answers"), [(1e6, 0), (1e9, 1)])
def test_without_rounds_a_loss_is_one_of_headroom_only_where_it_was_told_to_stop_for_long(stopped_ns, answers):
    line = counted(on=["h2"], sequence_nak=500, pause_received=900, pause_received_time=stopped_ns)
    text = unrounded(line)

    assert len(findings("pfc-missing", text)) == answers
    assert [each.confidence for each in findings("pfc-missing", text)] == [Confidence.LOW] * answers
    assert any("a bad link" in gap.reason and gap.undermines for gap in gaps("pfc-missing", text)) is not bool(answers)


def test_without_rounds_nobody_excludes_a_loss_at_any_load():
    line = counted(on=["h2"], sequence_nak=3000, pause_received=0)
    (alone,), (read,) = findings("pfc-missing", fabric(4, line)), findings("pfc-missing", unrounded(line))

    assert any("loss at any load" in each for each in alone.excluded)
    assert not any("loss at any load" in each for each in read.excluded)
    assert read.confidence is Confidence.MEDIUM


def test_what_two_hosts_alone_lose_as_well_is_no_matter_of_flow_control():
    load = counted(on=["h2"], sequence_nak=3000, pause_received=0)

    assert findings("pfc-missing", fabric(4, load)) != []
    assert findings("pfc-missing", fabric(4, load, lost(["h2"], ["h1", "h3", "h4"]))) == []


def test_who_loses_under_load_to_a_port_that_always_loses_lacks_no_flow_control():
    load = [counted(on=[host], sequence_nak=500, pause_received=900) for host in ("h1", "h2", "h4")]
    damaged = counted(on=["h3"], crc_error=1500, pause_received=900)

    assert [each.subjects for each in findings("pfc-missing", fabric(4, *load))] != []
    assert findings("pfc-missing", fabric(4, *load, damaged)) == []
    (gap,) = gaps("pfc-missing", fabric(4, *load, damaged))
    assert "as many went missing at ports that lose or reorder without load as well (h3 mlx5_0)" in gap.reason


def test_losses_that_a_bad_port_cannot_explain_are_still_told():
    load = counted(on=["h2"], sequence_nak=500, pause_received=0)
    damaged = counted(on=["h3"], crc_error=100, pause_received=900)

    (finding,) = findings("pfc-missing", fabric(4, load, damaged))

    assert finding.subjects == ("h2 mlx5_0",)


PRIORITY_0, PRIORITY_3 = "[1e9, 0, 0, 0, 0, 0, 0, 0]", "[0, 0, 0, 1e9, 0, 0, 0, 0]"


def test_a_fleet_that_marks_nothing_blames_no_host():
    (finding,) = findings("pfc-wrong-priority", fabric(4, counted(by_priority={"wire_sent_bytes": PRIORITY_0})))

    assert (finding.subjects, finding.hosts, finding.severity) == (("many ports",), (), Severity.WARNS)


def test_bytes_astray_that_are_lost_degrade():
    right = counted(by_priority={"wire_sent_bytes": PRIORITY_3})
    astray = counted(on=["h2"], sequence_nak=500, by_priority={"wire_sent_bytes": PRIORITY_0})

    (finding,) = findings("pfc-wrong-priority", fabric(4, right, astray))

    assert (finding.hosts, finding.severity) == (("h2",), Severity.DEGRADES)


def test_pauses_where_nothing_rides_protect_nothing():
    right = counted(by_priority={"wire_sent_bytes": PRIORITY_3, "wire_received_bytes": PRIORITY_3})
    paused = counted(on=["h2"], by_priority={"pause_sent": "[0, 0, 0, 0, 0, 7, 0, 0]"})

    (finding,) = findings("pfc-wrong-priority", fabric(4, right, paused))

    assert "asks for pauses in priority 5, where it carries nothing; its bytes ride in priority 3" in finding.summary


def test_an_idle_rail_whose_leaf_is_congested_has_nothing_in_the_wrong_priority():
    stray = "[9e4, 0, 0, 0, 0, 0, 0, 0]"
    idle = counted(by_priority={"wire_sent_bytes": stray, "wire_received_bytes": stray})
    paused = counted(on=["h2"], by_priority={"pause_received": "[0, 0, 0, 900, 0, 0, 0, 0]"})

    assert findings("pfc-wrong-priority", fabric(4, idle, paused)) == []


def test_pauses_in_an_idle_priority_beside_those_that_protect_rdma_leave_it_protected():
    right = counted(by_priority={"wire_sent_bytes": PRIORITY_3})
    paused = counted(on=["h2"], by_priority={"pause_received": "[0, 0, 0, 900, 0, 9, 0, 0]"})

    assert findings("pfc-wrong-priority", fabric(4, right, paused)) == []


def test_marks_that_are_lost_on_the_way_point_to_the_way_when_every_host_marks():
    right = counted(by_priority={"wire_sent_bytes": PRIORITY_3, "wire_received_bytes": PRIORITY_3})
    wrong = counted(on=["h2"], by_priority={"wire_received_bytes": PRIORITY_0})

    (finding,) = findings("one-sided-marking", fabric(4, right, wrong))

    assert finding.subjects == ("the switch port of h2 mlx5_0",)


def test_the_three_parts_of_congestion_control_are_told_apart():
    works = counted(ecn_marked=100, cnp_sent=50, cnp_handled=50, cnp_ignored=0)
    (no_answers,) = findings("ecn-inactive", fabric(4, works, counted(on=["h2"], cnp_sent=0)))
    (no_reaction,) = findings("ecn-inactive", fabric(4, works, counted(on=["h3"], cnp_handled=0, cnp_ignored=900)))

    assert no_answers.subjects == ("h2 mlx5_0",)
    assert "does not answer marked packets" in no_answers.summary
    assert no_reaction.subjects == ("h3 mlx5_0",)
    assert "does not slow down when it is told to" in no_reaction.summary


def test_a_few_marks_are_not_enough_to_tell_that_nobody_answers():
    works = counted(ecn_marked=100, cnp_sent=50, cnp_handled=50, cnp_ignored=0)
    few = counted(on=["h2"], ecn_marked=99, cnp_sent=0, cnp_handled=0, cnp_ignored=99)

    assert findings("ecn-inactive", fabric(4, works, few)) == []


@pytest.mark.parametrize(("on_peers", "hosts"), [(50, ("h2",)), (0, ())])
def test_who_does_not_answer_is_left_out_only_where_others_do(on_peers, hosts):
    peers = counted(ecn_marked=0, cnp_sent=on_peers, cnp_handled=on_peers, cnp_ignored=0)
    mute = counted(on=["h2"], ecn_marked=100, cnp_sent=0)
    heedless = counted(on=["h2"], cnp_ignored=100, cnp_handled=0)

    for own in (mute, heedless):
        (finding,) = findings("ecn-inactive", fabric(4, peers, own))
        assert finding.hosts == hosts
        assert (finding.confidence is Confidence.HIGH) == bool(hosts)


def test_congestion_control_that_is_off_everywhere_is_meant_to_be():
    off = "[" + ", ".join(["false"] * 8) + "]"
    meant = f'[[nics]]\nname = "mlx5_0"\necn = {{ notification_point = {off}, reaction_point = {off} }}'

    assert answers("ecn-inactive", fabric(4, meant, counted(pause_received_time=2e9, ecn_marked=0, cnp_sent=0))) == []


@pytest.mark.parametrize("id", ON_NICS)
def test_what_is_found_says_what_to_do_and_how_it_was_told(id):
    from pathlib import Path

    from detector_scenario import evidence_of, limits_of, load

    scenario = load(Path(__file__).parent / id / "fires.toml")

    for finding in detectors()[id].detect(evidence_of(scenario), limits_of(scenario)):
        assert finding.facts
        assert finding.excluded
        assert finding.next_action
        assert all(fact.metric and fact.observed and fact.expected and fact.basis for fact in finding.facts)
        assert not np.any(["nan" in fact.observed for fact in finding.facts])


@pytest.mark.parametrize(
    ("grown", "shown"), [({"pause_sent_time": 3_000_000}, "3.00 ms"), ({"pause_sent": 3_000_000}, "3,000,000")]
)
def test_a_counter_of_time_is_shown_with_its_unit_and_one_of_frames_as_a_number(grown, shown):
    line = counted(on=["h2"], port_discard=3000, **grown)

    facts = [fact for finding in findings("pfc-missing", fabric(4, line)) for fact in finding.facts]

    assert [fact.observed.partition(" in ")[0] for fact in facts if "pause-sent" in fact.metric] == [shown]
