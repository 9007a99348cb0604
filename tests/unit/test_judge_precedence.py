"""Which of two findings stands where both see one fault, and when most ports of a switch are the switch."""

from dataclasses import replace
from graphlib import TopologicalSorter

import pytest

from netprobe.judge.explain import explained
from netprobe.judge.groups import grouped
from netprobe.judge.naming import named
from netprobe.judge.precedence import RULES, On
from netprobe.model.finding import Confidence, Fact, Finding, Severity
from netprobe.model.meaning import Meaning
from netprobe.model.rdma import FailurePhase
from netprobe.registry import detectors

HOSTS = ("h1", "h2", "h3", "h5")
PORT = "h2 mlx5_0"


def finding(detector, *subjects, severity=Severity.DEGRADES, hosts=None, about=None, basis="b"):
    own = tuple(subject.partition(" ")[0] for subject in subjects if "->" not in subject and subject != "fabric")
    return Finding(
        detector=detector,
        severity=severity,
        confidence=Confidence.MEDIUM,
        subjects=subjects,
        hosts=own if hosts is None else hosts,
        summary=f"{detector} of {' and '.join(subjects)}",
        facts=tuple(
            Fact(metric=f"{subjects[0]} {each}", observed=subjects[0], expected="0", basis=basis)
            for each in about or ("m",)
        ),
    )


def loser_of(rule, *subjects):
    hosts = () if rule.blameless else None
    about = ("GPU memory",) if rule.of_gpus else rule.about
    return finding(rule.loser, *subjects, about=about, hosts=hosts, basis=f"limit {rule.limit}; counted")


def winner_of(rule, *subjects, **changes):
    winner = finding(rule.winner, *subjects, **changes)
    return replace(winner, summary=f"{winner.summary} {rule.because}")


def left(*findings):
    return [(each.detector, each.subjects) for each in explained(findings, HOSTS)]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.part], ids=lambda rule: f"{rule.winner} {rule.loser}")
@pytest.mark.parametrize(("subject", "stand"), [("h3", 1), ("fabric", 2)])
def test_what_one_port_loses_may_explain_a_part_of_the_fabric_and_never_the_whole(rule, subject, stand):
    assert len(left(loser_of(rule, subject), winner_of(rule, PORT))) == stand


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.on is On.LEAF], ids=lambda rule: rule.winner)
@pytest.mark.parametrize(
    ("cause", "stand"),
    [
        ("leaf a", 1),
        ("leaf a -> leaf b", 1),
        ("leaf b -> leaf a", 1),
        ("leaf c -> leaf b", 2),
        ("leaf a -> spines", 1),
        ("spines -> leaf a", 1),
        ("spines -> leaf b", 2),
    ],
)
def test_a_leaf_is_told_with_what_loses_there_or_on_a_way_that_ends_there(rule, cause, stand):
    loser, winner = (
        finding(each, subject, hosts=()) for each, subject in ((rule.loser, "leaf a"), (rule.winner, cause))
    )

    assert len(left(loser, winner)) == stand


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.on is On.UPLINKS], ids=lambda rule: rule.winner)
@pytest.mark.parametrize(
    ("cause", "stand"),
    [("leaf a -> spines", 1), ("spines -> leaf a", 1), ("spines -> leaf b", 2), ("leaf a -> leaf b", 2)],
)
def test_a_leaf_that_carries_too_little_is_told_with_what_its_own_uplinks_lose(rule, cause, stand):
    loser, winner = (
        finding(each, subject, hosts=()) for each, subject in ((rule.loser, "leaf a"), (rule.winner, cause))
    )

    assert len(left(loser, winner)) == stand


OF_SWITCHES = [rule for rule in RULES if rule.on is On.SWITCHES]


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.on is not On.SWITCHES], ids=lambda rule: f"{rule.winner} beats {rule.loser}"
)
def test_each_rule_of_the_table_folds_the_loser_on_the_same_port_into_the_winner(rule):
    (stands,) = explained([loser_of(rule, PORT), winner_of(rule, PORT)], HOSTS)

    assert stands.detector == rule.winner
    assert stands.summary.endswith(f"also seen: {rule.loser}")


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.on is not On.RUN], ids=lambda rule: rule.loser)
def test_no_rule_reaches_another_port_of_the_same_host(rule):
    assert len(left(loser_of(rule, "h2 mlx5_1"), winner_of(rule, PORT))) == 2


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.winner} over {rule.loser}")
def test_a_warning_beats_nothing_that_is_worse(rule):
    warning = winner_of(rule, PORT, severity=Severity.WARNS)

    assert len(left(loser_of(rule, PORT), warning)) == 2


@pytest.mark.parametrize("rule", OF_SWITCHES, ids=lambda rule: f"{rule.winner} between leaves")
@pytest.mark.parametrize("cause", ["leaf a -> leaf b", "leaf b <-> leaf a", "leaf b"])
def test_a_way_between_leaves_is_told_with_what_loses_on_it_or_at_an_end_of_it(rule, cause):
    way = finding(rule.loser, "leaf a <-> leaf b", hosts=())

    assert left(way, finding(rule.winner, cause, hosts=())) == [(rule.winner, (cause,))]


@pytest.mark.parametrize("rule", OF_SWITCHES, ids=lambda rule: f"{rule.winner} elsewhere")
@pytest.mark.parametrize(
    ("cause", "way"),
    [
        ("leaf a -> leaf c", "leaf a <-> leaf b"),
        ("leaf c", "leaf a -> leaf b"),
        ("leaf a -> leaf b", "leaf a"),
        ("fabric", "leaf a <-> leaf b"),
        ("leaf a -> leaf b", "fabric"),
    ],
)
def test_what_loses_elsewhere_explains_no_way_between_leaves_and_no_way_explains_a_leaf(rule, cause, way):
    assert len(left(finding(rule.loser, way, hosts=()), finding(rule.winner, cause, hosts=()))) == 2


def test_a_hop_without_flow_control_stands_beside_a_storm_and_what_waits_behind_the_storm_does_not():
    storm = finding("pause-storm", PORT)

    assert left(storm, finding("pfc-missing", "h3 mlx5_0", hosts=())) == [("pause-storm", (PORT,))]
    assert len(left(storm, finding("pfc-missing", "h3 mlx5_0"))) == 2


def test_losses_of_rdma_anywhere_are_the_storms_unless_their_port_counts_damage():
    storm, of_rdma = finding("pause-storm", PORT), "limit rdma_loss_ratio; counted by the NICs"

    for loss in (
        finding("packet-loss", "many pairs", hosts=(), basis=of_rdma),
        finding("packet-loss", "h1 -> h3", hosts=(), basis=of_rdma),
        finding("packet-loss", "h3 mlx5_0", basis=of_rdma),
    ):
        assert left(storm, loss) == [("pause-storm", (PORT,))]
    assert len(left(storm, finding("packet-loss", "h3 mlx5_0", basis=of_rdma, about=(Meaning.CRC_ERROR,)))) == 2


def test_losses_of_tcp_elsewhere_are_not_the_storms():
    assert len(left(finding("pause-storm", PORT), finding("packet-loss", "h3", basis="limit loss_ratio"))) == 2


def test_what_overtakes_is_the_storms_and_a_host_that_does_not_put_in_order_what_arrived_is_not():
    storm = finding("pause-storm", PORT)

    assert left(storm, finding("out-of-order", "fabric", hosts=())) == [("pause-storm", (PORT,))]
    assert len(left(storm, finding("out-of-order", "h3 mlx5_0"))) == 2


def test_marks_that_a_storm_makes_impossible_are_told_with_it_and_what_a_slow_receiver_does_not_explain_stays():
    unmarked = finding("ecn-inactive", "fabric", hosts=(), severity=Severity.WARNS)

    assert left(finding("pause-storm", PORT), unmarked) == [("pause-storm", (PORT,))]
    assert len(left(finding("pause-source", PORT), unmarked)) == 2


def test_a_host_that_posts_no_buffers_is_none_of_a_storms_victims():
    assert len(left(finding("pause-storm", PORT), finding("rnr-stall", "h3"))) == 2


def test_the_table_names_detectors_that_exist_and_has_no_circle():
    assert {name for rule in RULES for name in (rule.winner, rule.loser)} <= detectors().keys()
    sorter = TopologicalSorter()
    for rule in RULES:
        sorter.add(rule.loser, rule.winner)
    sorter.prepare()


def test_who_gives_up_is_told_with_the_loss_wherever_that_is_and_a_broken_device_is_not():
    loss = finding("packet-loss", "h3 mlx5_0")
    gave_up = finding("counters", PORT, about=(Meaning.RETRIES_EXCEEDED, Meaning.COMPLETION_ERROR))
    broken = finding("counters", PORT, about=(Meaning.RETRIES_EXCEEDED, Meaning.FATAL_ERROR))

    assert left(loss, gave_up) == [("packet-loss", ("h3 mlx5_0",))]
    assert len(left(loss, broken)) == 2


def test_what_is_known_of_a_port_is_not_taken_for_a_guess():
    damage = finding("physical-errors", PORT)

    assert len(left(damage, finding("counters", PORT, about=(Meaning.ACCESS_ERROR,)))) == 2
    assert len(left(damage, finding("counters", PORT))) == 1


def test_damage_at_a_port_beats_loss_that_names_the_whole_host_or_a_path_to_it():
    damage = finding("physical-errors", PORT)

    assert left(damage, finding("packet-loss", "h2")) == [("physical-errors", (PORT,))]
    assert left(damage, finding("packet-loss", "h1 -> h2", hosts=())) == [("physical-errors", (PORT,))]


def test_damage_at_a_port_says_nothing_of_a_path_that_leads_away_from_it():
    assert len(left(finding("physical-errors", PORT), finding("packet-loss", "h2 -> h1", hosts=()))) == 2


def test_pauses_at_idle_beat_pauses_that_anybody_receives():
    storm, victim = finding("pause-storm", PORT), finding("pause-victim", "fabric", severity=Severity.WARNS, hosts=())

    assert left(storm, victim) == [("pause-storm", (PORT,))]


def test_a_victim_is_told_with_its_source_and_stays_when_that_is_not_named():
    victim = finding("pause-victim", PORT, severity=Severity.WARNS, hosts=())

    assert left(finding("pause-source", PORT), victim) == [("pause-source", (PORT,))]
    assert len(left(finding("pause-source", "h3 mlx5_0"), victim)) == 2


def test_a_setting_is_told_with_the_loss_that_it_explains_and_does_not_replace_it():
    setting = finding("pfc-wrong-priority", PORT, severity=Severity.WARNS, hosts=())

    (stands,) = explained([finding("packet-loss", PORT), setting], HOSTS)

    assert stands.detector == "packet-loss"
    assert stands.facts[-1].metric == "also pfc-wrong-priority"


def test_a_chain_of_rules_ends_in_one_finding():
    chain = [finding(each, PORT) for each in ("pfc-missing", "packet-loss", "physical-errors", "link-flap")]

    assert left(*chain) == [("link-flap", (PORT,))]


def test_a_bad_port_explains_what_is_slow_on_its_host():
    assert left(finding("physical-errors", PORT), finding("slow-link", "h2")) == [("physical-errors", (PORT,))]


def test_a_subject_is_a_port_only_behind_a_known_host():
    assert named(finding("x", PORT), set(HOSTS)).ports == {PORT}
    assert named(finding("x", "h2"), set(HOSTS)).ports == frozenset()
    assert named(finding("x", "the switch port of h2 mlx5_0", hosts=()), set(HOSTS)) is None


LEAVES = {f"a{number} mlx5_0": "leaf1" for number in range(4)} | {f"b{number} mlx5_0": "leaf2" for number in range(4)}


def of_ports(*ports, detector="link-flap"):
    return [finding(detector, f"{port} mlx5_0") for port in ports]


def test_most_ports_of_a_leaf_are_one_finding_of_the_leaf():
    (switch,) = grouped(of_ports("a0", "a1", "a2"), LEAVES)

    assert switch.subjects == ("leaf leaf1",)
    assert switch.hosts == ("a0", "a1", "a2")
    assert switch.summary.startswith("3 of its 4 ports show the same, one fault and not 3")
    assert [fact.observed for fact in switch.facts] == ["a0 mlx5_0", "a1 mlx5_0", "a2 mlx5_0"]


def test_two_ports_of_a_leaf_are_two_findings():
    assert len(grouped(of_ports("a0", "a1"), LEAVES)) == 2


def test_what_all_leaves_have_is_no_leafs_fault():
    assert len(grouped(of_ports("a0", "a1", "a2", "b0", "b1", "b2"), LEAVES)) == 6


def test_a_single_leaf_has_nothing_to_be_compared_with():
    one = {port: leaf for port, leaf in LEAVES.items() if leaf == "leaf1"}

    assert len(grouped(of_ports("a0", "a1", "a2"), one)) == 3


def test_what_belongs_to_hosts_is_never_grouped():
    assert len(grouped(of_ports("a0", "a1", "a2", detector="pause-source"), LEAVES)) == 3


def test_a_finding_of_a_leaf_explains_what_is_slow_on_its_hosts():
    switch = finding("link-flap", "leaf leaf1", hosts=("h1", "h2", "h3"))

    assert left(switch, finding("slow-link", "h2")) == [("link-flap", ("leaf leaf1",))]


@pytest.mark.parametrize("setting", ["link-downgrade", "pcie-downgrade"])
def test_a_port_that_came_up_slow_explains_why_its_host_is(setting):
    assert left(finding("slow-link", "h2"), finding(setting, PORT)) == [(setting, (PORT,))]


@pytest.mark.parametrize("setting", ["link-downgrade", "pcie-downgrade"])
def test_what_only_warns_of_a_setting_hides_no_slow_host(setting):
    found = left(finding("slow-link", "h2"), finding(setting, PORT, severity=Severity.WARNS))

    assert sorted(each for each, _ in found) == sorted([setting, "slow-link"])


@pytest.mark.parametrize("cause", ["gpu-throttle", "nvlink-degraded"])
def test_a_gpu_explains_why_its_host_is_slow_where_memory_of_gpus_was_measured(cause):
    of_gpus = finding("slow-host", "h2", about=("bandwidth 8M of GPU memory, sends",))

    assert left(of_gpus, finding(cause, "h2 0000:18:00.0")) == [(cause, ("h2 0000:18:00.0",))]


@pytest.mark.parametrize("cause", ["gpu-throttle", "nvlink-degraded"])
def test_a_gpu_is_no_reason_for_a_host_that_is_slow_without_it_and_none_for_another_host(cause):
    both = finding("slow-host", "h2", about=("bandwidth 8M of GPU memory, sends", "latency 8 B, answers"))
    other = finding("slow-host", "h3", about=("bandwidth 8M of GPU memory, sends",))

    assert len(left(both, finding(cause, "h2 0000:18:00.0"))) == 2
    assert len(left(other, finding(cause, "h2 0000:18:00.0"))) == 2


def failed_on_rdma(phase, subject="h2"):
    fact = Fact(metric=f"RDMA latency 8 B, h2:1 <-> h1:0, {phase}", observed="o", expected="e", basis="b")
    return replace(finding("rdma-failure", subject, severity=Severity.BLOCKS), facts=(fact,))


@pytest.mark.parametrize("cause", ["packet-loss", "physical-errors"])
def test_what_breaks_connections_explains_those_that_had_worked_and_no_others(cause):
    later, first = (failed_on_rdma(phase) for phase in (FailurePhase.LATER, FailurePhase.FIRST_MESSAGE))

    assert left(later, finding(cause, PORT)) == [(cause, (PORT,))]
    assert len(left(first, finding(cause, PORT))) == 2


@pytest.mark.parametrize("phase", FailurePhase)
def test_a_link_that_went_down_explains_connections_that_end_and_those_that_cannot_be_made(phase):
    assert left(failed_on_rdma(phase), finding("link-flap", PORT)) == [("link-flap", (PORT,))]


def test_addresses_that_do_not_meet_explain_what_never_worked_and_nothing_else():
    later, first = (failed_on_rdma(phase) for phase in (FailurePhase.LATER, FailurePhase.SET_UP))
    addresses = finding("gid-mismatch", PORT, severity=Severity.BLOCKS)

    assert left(first, addresses) == [("gid-mismatch", (PORT,))]
    assert len(left(later, addresses)) == 2


@pytest.mark.parametrize("cause", ["dead-host", "hung-host"])
def test_a_path_to_a_host_that_is_gone_is_told_with_it(cause):
    path = replace(failed_on_rdma(FailurePhase.LATER, "h1 <-> h2"), hosts=())

    assert left(path, finding(cause, "h2", severity=Severity.BLOCKS)) == [(cause, ("h2",))]
    assert len(left(path, finding(cause, "h5", severity=Severity.BLOCKS))) == 2


OF_GPU, OF_HOST = "RDMA bandwidth 8M, GPU memory, sends", "RDMA bandwidth 8M, sends"


@pytest.mark.parametrize("detector", ["slow-link", "slow-host"])
def test_a_slow_gpu_explains_rates_in_gpu_memory_alone(detector):
    gpu = finding("gpudirect-off", "h2")

    assert left(gpu, finding(detector, "h2", about=(OF_GPU,))) == [("gpudirect-off", ("h2",))]
    assert len(left(gpu, finding(detector, "h2", about=(OF_GPU, OF_HOST)))) == 2
    assert len(left(gpu, finding(detector, "h3", about=(OF_GPU,)))) == 2


def test_a_distance_that_was_measured_is_told_with_what_it_costs_and_a_missing_module_explains_no_distance():
    far = replace(finding("gpudirect-off", "h2"), summary="GPUDirect works, and crosses the root complex (SYS)")

    assert left(far, finding("affinity", "h2")) == [("gpudirect-off", ("h2",))]
    assert len(left(finding("gpudirect-off", "h2"), finding("affinity", "h2"))) == 2


@pytest.mark.parametrize("cause", ["slow-link", "packet-loss", "pcie-downgrade", "host-noise"])
def test_what_is_wrong_with_a_host_explains_what_a_library_loses_on_it_and_not_what_all_share(cause):
    assert left(finding(cause, "h2"), finding("layer-gap", "h2")) == [(cause, ("h2",))]
    assert left(finding(cause, "h2"), finding("layer-gap", "h2 <-> h3", hosts=())) == [(cause, ("h2",))]
    assert len(left(finding(cause, "h2"), finding("layer-gap", "fabric"))) == 2
