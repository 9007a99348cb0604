"""Who loses packets, and who takes the CPU away: never a victim, and never silence where nobody counted."""

import pytest
from detector_scenario import evidence_in, findings, gaps

from netprobe.model.finding import Confidence, Severity

EVERYBODY_WELL = """
[[pairs]]
probe = "bidirectional"
size = "64K"
gbps = 25.0

[[counters]]
grown = { "tcp/TCPOrigDataSent" = 1_000_000, "tcp/RetransSegs" = 0, "tcp/TCPTimeouts" = 0, "tcp/TCPOFOQueue" = 0 }
"""


def fabric(hosts, *lines, **settings):
    """Return a scenario in which everybody meets everybody and does well, but for these lines of counters."""
    names = ", ".join(f'"h{number}"' for number in range(1, hosts + 1))
    told = "".join(f"{name} = {value}\n" for name, value in settings.items())
    return f"hosts = [{names}]\n{told}{EVERYBODY_WELL}" + "".join(f"\n[[counters]]\n{line}\n" for line in lines)


def loses(on=None, to=None, segments=1000, **more):
    """Return a line of counters: so many of a million segments are sent again, and the other end sees the holes."""
    more = {"tcp/RetransSegs": segments, **more}
    grown = ", ".join(f'"{name}" = {count}' for name, count in more.items())
    ends = [f'on = "{on}"'] if on else []
    ends += [f'with = "{to}"'] if to else []
    return "\n".join([*ends, f"grown = {{ {grown} }}"])


def sees_holes(on=None, of=None):
    return loses(on=on, to=of, segments=0, **{"tcp/TCPOFOQueue": 50})


def subjects(id, text):
    return [finding.subjects for finding in findings(id, text)]


def test_a_host_that_receives_badly_is_named_though_its_partners_send_everything_again():
    (finding,) = findings("packet-loss", fabric(5, loses(to="h3"), sees_holes(on="h3")))

    assert finding.subjects == finding.hosts == ("h3",)
    assert finding.summary.startswith("loses 0.1 % of what it should receive (rx): 4,000 of 4,000,000 segments")
    assert "its send side (0 of 4,000,000 segments lost)" in finding.excluded
    assert (finding.severity, finding.confidence) == (Severity.BLOCKS, Confidence.HIGH)


@pytest.mark.parametrize(("dropped", "paths"), [(499, [("h1 -> h3",)]), (500, [])])
@pytest.mark.parametrize("counter", ["tcp/TCPRcvQDrop", "tcp/TCPBacklogDrop", "tcp/TCPZeroWindowDrop"])
def test_a_path_is_not_blamed_for_what_the_receiving_host_dropped_itself(counter, dropped, paths):
    text = fabric(5, loses(on="h1", to="h3"), loses(on="h3", to="h1", segments=0, **{counter: dropped}))

    assert subjects("packet-loss", text) == paths
    told = [gap.reason for gap in gaps("packet-loss", text) if "itself dropped" in gap.reason]
    assert [reason.split(" for ")[0] for reason in told] == (
        [] if paths else ["h3 itself dropped 500 segments from h1"]
    )


def test_many_hosts_that_dropped_themselves_what_came_are_one_gap():
    ways = [("h1", "h3", 600), ("h2", "h4", 700)]
    lines = [line for a, b, dropped in ways for line in (
        loses(on=a, to=b), loses(on=b, to=a, segments=0, **{"tcp/TCPRcvQDrop": dropped})
    )]  # fmt: skip

    (told,) = [gap.reason for gap in gaps("packet-loss", fabric(6, *lines)) if "itself dropped" in gap.reason]
    assert told.startswith("h4 itself dropped 700 segments from h2 for want of room, and 1 more alike")


def test_a_host_that_loses_both_ways_is_one_finding():
    (finding,) = findings("packet-loss", fabric(4, loses(on="h2"), loses(to="h2")))

    assert finding.subjects == ("h2",)
    assert "what it sends (tx)" in finding.summary
    assert "what it should receive (rx)" in finding.summary
    assert finding.summary.count("seen by 3 partners") == 2


def test_several_lossy_hosts_are_told_apart_from_the_partners_they_share():
    lines = [loses(on="h2"), loses(on="h5", segments=300), loses(to="h7", segments=200)]

    assert sorted(subjects("packet-loss", fabric(9, *lines))) == [("h2",), ("h5",), ("h7",)]


def test_one_lossy_direction_is_a_path_and_nobodys_fault():
    (finding,) = findings("packet-loss", fabric(5, loses(on="h2", to="h5"), sees_holes(on="h5", of="h2")))

    assert finding.subjects == ("h2 -> h5",)
    assert finding.hosts == ()
    assert "the other direction (within limits)" in finding.excluded
    assert finding.confidence is Confidence.HIGH


def test_both_directions_of_one_pair_are_one_path():
    lines = [loses(on="h2", to="h5"), loses(on="h5", to="h2")]

    assert subjects("packet-loss", fabric(5, *lines)) == [("h2 <-> h5",)]


def test_a_lossy_path_beside_a_lossy_host_is_still_seen():
    lines = [loses(on="h1"), loses(on="h2", to="h5")]

    assert subjects("packet-loss", fabric(6, *lines)) == [("h1",), ("h2 -> h5",)]


def test_loss_that_everybody_has_blames_nobody():
    (finding,) = findings("packet-loss", fabric(6, loses()))

    assert finding.subjects == ("many pairs",)
    assert finding.hosts == ()
    assert finding.summary.startswith("30 of 30 directions between hosts lose 0.1 %")


def test_two_hosts_cannot_tell_which_of_them_loses():
    (finding,) = findings("packet-loss", fabric(2, loses(on="h1")))

    assert finding.subjects == ("h1 -> h2",)
    assert finding.hosts == ()
    assert "nobody to compare with" in finding.summary


def test_three_hosts_name_a_sender_with_less_confidence():
    (finding,) = findings("packet-loss", fabric(3, loses(on="h1"), sees_holes(of="h1")))

    assert finding.hosts == ("h1",)
    assert finding.confidence is Confidence.MEDIUM


def test_receivers_that_saw_no_holes_lower_the_confidence():
    (finding,) = findings("packet-loss", fabric(5, loses(on="h1")))

    assert finding.confidence is Confidence.MEDIUM
    assert not any("false alarms" in each for each in finding.excluded)


def test_segments_that_the_receiver_had_already_were_not_lost():
    assert findings("packet-loss", fabric(5, loses(on="h1", **{"tcp/TCPDSACKRecvSegs": 999}))) == []


def test_a_handful_of_segments_is_no_trait():
    strict = "{ loss_ratio = 1e-6 }"

    assert findings("packet-loss", fabric(4, loses(on="h1", segments=2), limits=strict)) == []
    assert findings("packet-loss", fabric(4, loses(on="h1", segments=3), limits=strict)) != []


def test_rare_losses_block_when_they_stop_the_host_in_every_round():
    line = loses(on="h1", segments=200, **{"tcp/TCPTimeouts": 1})

    (finding,) = findings("packet-loss", fabric(4, line))
    (without,) = findings("packet-loss", fabric(4, line.replace('"tcp/TCPTimeouts" = 1', '"tcp/TCPTimeouts" = 0')))

    assert (finding.severity, without.severity) == (Severity.BLOCKS, Severity.DEGRADES)
    assert "3 timeouts" in finding.summary


def test_timeouts_are_seen_in_the_times_of_the_pair():
    text = fabric(4, loses(on="h1")).replace(
        "gbps = 25.0", 'gbps = 25.0\nodd = [{ between = ["h1", "h3"], max_ms = 210 }]'
    )

    (finding,) = findings("packet-loss", text)

    assert [fact.basis for fact in finding.facts][-1] == "as long as a TCP retransmission timeout"


def test_what_the_host_itself_dropped_is_a_fact_and_so_is_what_it_lost_in_collectives():
    line = loses(on="h1", **{"eth0/rx_frame": 7})
    text = fabric(4, line) + '\n[[collectives]]\nprobe = "allreduce"\nsize = "8"\nus = 60.0\n'

    facts = {fact.metric: fact.observed for fact in findings("packet-loss", text)[0].facts}

    assert facts["eth0/rx_frame"] == "28"
    assert facts["segments sent again in collectives"] == "1,000"


def test_traffic_that_passes_by_tcp_is_not_cleared_by_its_counters():
    text = fabric(4).replace("1_000_000", "1_000")

    (gap,) = gaps("packet-loss", text)

    assert "the traffic did not go over TCP" in gap.reason


def test_stalls_as_long_as_a_roce_timer_name_a_host_where_no_counter_saw_the_traffic():
    odd = 'odd = [{ between = ["h2", "h1"], max_ms = 68 }, { between = ["h2", "h3"], max_ms = 69 }]'
    text = fabric(4).replace("1_000_000", "1_000").replace("gbps = 25.0", f"gbps = 25.0\n{odd}")

    (finding,) = findings("packet-loss", text)

    assert finding.subjects == ("h2",)
    assert finding.confidence is Confidence.LOW
    assert "RoCE acknowledgement timeout 14" in finding.summary


def test_one_stall_of_one_pair_can_be_anything():
    text = (
        fabric(4)
        .replace("1_000_000", "1_000")
        .replace("gbps = 25.0", 'gbps = 25.0\nodd = [{ from = "h1", to = "h2", max_ms = 68 }]')
    )

    assert findings("packet-loss", text) == []


def test_few_segments_do_not_exclude_a_small_loss():
    (gap,) = gaps("packet-loss", fabric(3).replace("1_000_000", "10_000"))

    assert "no more than 20,000 segments, which excludes loss only above 0.015 %" in gap.reason


def test_one_host_has_no_fabric_to_lose_on():
    text = 'hosts = ["h1", "h1"]\n[[pairs]]\nprobe = "latency"\nsize = "8"\nus = 1.0\nscope = "within-host"\n'

    assert findings("packet-loss", text) == gaps("packet-loss", text) == []


def test_collectives_alone_tell_of_loss_but_of_nobody():
    text = 'hosts = ["h1", "h2"]\n[[collectives]]\nprobe = "allreduce"\nsize = "8"\nus = 60.0\n[[counters]]\n'
    grown = 'grown = {{ "tcp/TCPOrigDataSent" = 1_000_000, "tcp/RetransSegs" = {} }}\n'

    assert gaps("packet-loss", text + grown.format(0)) == []
    assert "2,000 of 2,000,000 segments were sent again" in gaps("packet-loss", text + grown.format(1000))[0].reason


def waits(share, on=None, name="process/run_delay_ns"):
    return loses(on=on, segments=0, **{name: int(share * 1e9)})


def test_a_quota_is_wrong_wherever_it_is():
    text = fabric(2, waits(0.6, on="h1", name="cgroup/throttled_ns"), waits(0, name="cgroup/throttled_ns"))

    (finding,) = findings("host-noise", text)

    assert finding.subjects == ("h1",)
    assert finding.severity is Severity.BLOCKS
    assert "is stopped by its own CPU quota 60 % of the time" in finding.summary
    assert "loss on the network (its TCP sent nothing again)" in finding.excluded


def test_a_throttled_host_that_also_waits_is_one_finding():
    lines = [waits(0.3, on="h1", name=name) for name in ("cgroup/throttled_ns", "process/run_delay_ns")]
    idle = [waits(0, name=name) for name in ("cgroup/throttled_ns", "process/run_delay_ns")]

    assert subjects("host-noise", fabric(4, *lines, *idle)) == [("h1",)]


def test_quotas_everywhere_are_one_finding_that_leaves_no_host_out():
    (finding,) = findings("host-noise", fabric(8, waits(0.3, name="cgroup/throttled_ns")))

    assert len(finding.subjects) == 8
    assert finding.hosts == ()


def test_a_hypervisor_that_takes_one_hosts_cpus_is_named():
    lines = [
        waits(0.2, on="h1", name="cpu/steal_ns"),
        waits(0.001, name="cpu/steal_ns"),
        waits(0.8, name="cpu/busy_ns"),
    ]

    (finding,) = findings("host-noise", fabric(4, *lines))

    assert finding.subjects == ("h1",)
    assert "does not get its CPUs from the hypervisor 20 % of the time" in finding.summary


def in_the_round_of(pair, stolen, seconds=1):
    """Return lines of two hosts for their round: what the hypervisor took of their time."""
    shares = {"cpu/steal_ns": int(seconds * stolen * 1e9), "cpu/busy_ns": int(seconds * (1 - stolen) * 1e9)}
    return [loses(on=on, to=to, segments=0, **shares) for on, to in (pair, pair[::-1])]


@pytest.mark.parametrize(("of_the_others", "named"), [(0.2, []), (0.02, [("h1",)])], ids=["of all", "its own"])
def test_a_host_with_few_rounds_is_held_against_the_others_in_those(of_the_others, named):
    others = [line for pair in (("h1", "h2"), ("h3", "h4")) for line in in_the_round_of(pair, of_the_others)][1:]
    calm = [line for pair in (("h2", "h3"), ("h2", "h4")) for line in in_the_round_of(pair, 0.0, 9)]
    calm += [in_the_round_of((on, "h1"), 0.0, 9)[0] for on in ("h3", "h4")]  # of h1 nobody counted those rounds
    lines = [in_the_round_of(("h1", "h2"), 0.2)[0], *others, *calm]

    assert subjects("host-noise", fabric(4, *lines)) == named


def test_one_host_alone_cannot_be_told_from_a_crowded_machine():
    text = 'hosts = ["h1", "h1"]\n[[pairs]]\nprobe = "latency"\nsize = "8"\nus = 1.0\nscope = "within-host"\n'
    text += f"[[counters]]\n{waits(0.5)}\n"

    assert findings("host-noise", text) == []
    assert "ranks waited for a CPU 50 % of the time on the only host" in gaps("host-noise", text)[0].reason


def test_one_host_that_waits_far_more_than_a_fleet_that_waits_is_named_and_the_fleet_is_told():
    text = fabric(6, waits(0.08), waits(0.7, on="h4"))

    assert subjects("host-noise", text) == [("h4",)]
    assert "on 5 of 6 hosts" in gaps("host-noise", text)[0].reason


def test_hosts_that_do_not_count_are_told():
    assert "was not counted on all 3 hosts" in gaps("host-noise", fabric(3))[0].reason


def test_ranks_that_wait_crowd_their_host_whatever_the_number_of_its_cpus():
    text = fabric(3, waits(0.11, on="h2"), waits(0.0, on="h1"))

    assert evidence_in(text).crowded_hosts == ("h2",)
    assert evidence_in(fabric(3, waits(0.09, on="h2"))).crowded_hosts == ()


def test_a_noisy_host_is_measured_again_with_the_quietest_ones():
    (finding,) = findings("host-noise", fabric(5, waits(0.01), waits(0.5, on="h1"), waits(0.02, on="h2")))

    assert finding.retest == "netprobe check --hosts h1,h3,h4"
