"""Hosts that were taken out and pairs that stood still: one detector names each, and it is the right one."""

import pytest
from detector_scenario import answers, findings, gaps

from netprobe.model.finding import Confidence, Severity
from netprobe.model.standing import Fate

HOSTS = 'hosts = ["n1", "n2", "n3", "n4"]\n'
OF_HALTS = ("dead-host", "hung-host", "partition", "mtu")
NAMED_BY = {
    Fate.UNREACHABLE: "dead-host",
    Fate.UNUSABLE: "dead-host",
    Fate.GONE: "dead-host",
    Fate.STOPPED: "hung-host",
    Fate.BLOCKED: "hung-host",
    Fate.IDLE: "hung-host",
    Fate.STUCK: "hung-host",
    Fate.CUT_OFF: "partition",
    Fate.BLACK_HOLE: "mtu",
}


def benched(host, fate, stage="latency"):
    place = "" if stage is None else f'stage = "{stage}"\n'
    return f'[[benched]]\nhost = "{host}"\nfate = "{fate}"\ndetail = "seen"\n{place}'


def paths(*lost, more=""):
    return f"[[paths]]\n{more}\nlost = [{', '.join(lost)}]\n"


STUCK = '[[stuck]]\nbetween = ["n2", "n3"]\n'


def who_says_what(text):
    return [(id, each.subjects) for id in OF_HALTS for each in findings(id, text)]


def cut(*away, packets="all"):
    """Nothing passes between these hosts and the others."""
    others = [host for host in ("n1", "n2", "n3", "n4") if host not in away]
    return [f'{{ between = ["{a}", "{b}"], packets = "{packets}" }}' for a in away for b in others]


@pytest.mark.parametrize("fate", [fate for fate in Fate if fate is not Fate.ASIDE])
def test_every_fate_is_named_by_one_detector_and_blocks(fate):
    text = HOSTS + benched("n2", fate) + paths()

    (named,) = [(id, each) for id in OF_HALTS for each in findings(id, text)]

    assert named[0] == NAMED_BY[fate]
    assert named[1].hosts == named[1].subjects == ("n2",)
    assert named[1].severity is Severity.BLOCKS
    assert named[1].next_action
    assert "n2" in named[1].retest


def test_a_stuck_process_is_named_with_less_confidence_than_a_stopped_one():
    (stuck,) = findings("hung-host", HOSTS + benched("n2", Fate.STUCK))
    (stopped,) = findings("hung-host", HOSTS + benched("n2", Fate.STOPPED))

    assert (stuck.confidence, stopped.confidence) == (Confidence.MEDIUM, Confidence.HIGH)


def test_a_host_that_was_out_before_the_ranks_met_has_no_round():
    (finding,) = findings("dead-host", HOSTS + benched("n9", Fate.UNUSABLE, stage=None))

    assert finding.summary == "netprobe cannot start there: seen"
    assert len(finding.facts) == 1
    assert finding.retest == "netprobe check --hosts n9,n1,n2"


def test_the_last_sign_of_life_is_a_fact():
    (finding,) = findings("dead-host", HOSTS + benched("n2", Fate.GONE))

    assert finding.summary == "process gone in latency, round 3: seen"
    assert finding.facts[1].observed == "latency, round 2"
    assert "nothing came for 9.00 s" in finding.facts[1].basis


def test_a_retest_takes_partners_that_are_good():
    text = HOSTS + benched("n1", Fate.GONE) + benched("n3", Fate.STOPPED)

    assert findings("dead-host", text)[0].retest == "netprobe check --hosts n1,n2,n4"


@pytest.mark.parametrize(
    ("lost", "detector"),
    [
        ([], "hung-host"),
        (['{ between = ["n2", "n3"], packets = "large" }'], "mtu"),
        (['{ from = "n2", to = "n3", packets = "large" }'], "mtu"),
        (['{ between = ["n2", "n3"], packets = "all" }'], "partition"),
        (['{ from = "n3", to = "n2", packets = "all" }'], "hung-host"),  # n2 does not answer such packets
    ],
)
def test_a_stuck_pair_is_named_by_what_its_path_loses(lost, detector):
    assert who_says_what(HOSTS + STUCK + paths(*lost)) == [(detector, ("n2 <-> n3",))]


@pytest.mark.parametrize(("packets", "detector"), [("all", "partition"), ("large", "mtu")])
def test_a_silent_path_is_named_though_nobody_was_stuck_on_it(packets, detector):
    lost = f'{{ between = ["n1", "n4"], packets = "{packets}" }}'

    assert who_says_what(HOSTS + paths(lost)) == [(detector, ("n1 <-> n4",))]


@pytest.mark.parametrize(("packets", "detector"), [("all", "partition"), ("large", "mtu")])
def test_a_host_that_was_set_aside_is_told_with_its_path_and_not_blamed(packets, detector):
    lost = f'{{ between = ["n1", "n4"], packets = "{packets}" }}'
    text = HOSTS + benched("n4", Fate.ASIDE) + paths(lost)

    assert who_says_what(text) == [(detector, ("n1 <-> n4",))]
    (finding,) = findings(detector, text)
    assert finding.hosts == ()
    assert finding.summary.endswith("; n4 was set aside in latency, round 3, so that the rest could be measured")
    assert finding.confidence is Confidence.HIGH


def test_hosts_that_were_set_aside_have_not_failed():
    text = HOSTS + benched("n3", Fate.ASIDE) + benched("n4", Fate.ASIDE) + benched("n2", Fate.GONE) + paths()

    assert who_says_what(text) == [("dead-host", ("n2",))]


EIGHT = [f"n{number}" for number in range(1, 9)]
OF_EIGHT = f"hosts = {EIGHT}\n"


def between_groups(size, packets):
    """Something is lost between all hosts but those of one group, so many in each."""
    return [
        f'{{ between = ["{a}", "{b}"], packets = "{packets}" }}'
        for i, a in enumerate(EIGHT)
        for j, b in enumerate(EIGHT)
        if i < j and i // size != j // size
    ]


def test_large_packets_that_vanish_nearly_everywhere_are_one_finding_about_the_fabric():
    lost = between_groups(1, "large")[1:]  # two hosts under one port that takes them

    ((detector, subjects),) = who_says_what(OF_EIGHT + paths(*lost))
    (finding,) = findings("mtu", OF_EIGHT + paths(*lost))

    assert (detector, subjects, finding.hosts) == ("mtu", ("fabric",), ())
    assert (finding.severity, finding.confidence) == (Severity.BLOCKS, Confidence.HIGH)
    assert finding.summary == (
        "packets of 9000 bytes vanish on 54 of 56 paths of 10.1.0.0/24, small ones pass: "
        "the MTU of its switches is below the hosts' 9000"
    )
    assert finding.facts[0].observed == "n1, n2"
    assert finding.retest == "netprobe run bandwidth --hosts n1,n3"


def test_leaves_without_their_spine_are_one_finding_about_the_fabric():
    text = OF_EIGHT + paths(*between_groups(2, "all"))

    assert who_says_what(text) == [("partition", ("fabric",))]
    (finding,) = findings("partition", text)
    assert finding.summary == "falls into 4 parts: 48 of 56 paths of 10.1.0.0/24 give no answer"
    assert finding.facts[0].observed.startswith("n1, n2; n3, n4; ")


def test_two_leaves_without_their_spine_are_a_cut_as_before():
    out = "".join(benched(host, Fate.CUT_OFF) for host in EIGHT[4:])

    assert who_says_what(OF_EIGHT + out + paths(*between_groups(4, "all"))) == [("partition", tuple(EIGHT[4:]))]


@pytest.mark.parametrize("fate", [Fate.CUT_OFF, Fate.BLACK_HOLE, Fate.STOPPED, Fate.UNREACHABLE])
def test_when_most_hosts_failed_none_of_them_is_blamed_and_the_verdict_is_open(fate):
    text = HOSTS + "".join(benched(host, fate) for host in ("n1", "n2", "n3")) + paths()

    assert who_says_what(text) == []
    assert [gap.undermines for gap in gaps("dead-host", text)] == [True]


def test_a_path_of_another_network_is_named_beside_the_fabric():
    other = '{ between = ["n1", "n4"], packets = "all" }'
    text = OF_EIGHT + paths(*between_groups(1, "large")) + paths(other, more='network = "10.2.0.0/24"')

    assert who_says_what(text) == [("partition", ("n1 <-> n4",)), ("mtu", ("fabric",))]


def test_a_stuck_pair_blames_neither_of_its_hosts():
    for lost in ([], cut("n2", packets="all")[1:2]):
        found = [each for id in OF_HALTS for each in findings(id, HOSTS + STUCK + paths(*lost))]
        assert [each.hosts for each in found] == [()]


@pytest.mark.parametrize(("out", "found"), [("n1", "n2 <-> n3"), ("n2", "n2")])
@pytest.mark.parametrize("packets", ["all", "large", None])
def test_a_pair_that_got_stuck_is_not_told_beside_its_own_host_that_was_found_out_later(out, found, packets):
    lost = [] if packets is None else [f'{{ between = ["n2", "n3"], packets = "{packets}" }}']

    told = who_says_what(HOSTS + STUCK + benched(out, Fate.GONE) + paths(*lost))

    assert {subjects for _, subjects in told} == {(out,), (found,)}


def test_hosts_on_the_other_side_of_a_cut_are_one_finding():
    text = HOSTS + benched("n3", Fate.CUT_OFF) + benched("n4", Fate.CUT_OFF) + paths(*cut("n3", "n4"))

    (finding,) = findings("partition", text)

    assert finding.subjects == ("n3", "n4")
    assert finding.summary.startswith("cut off from 2 others (n1, n2) in latency, round 3: 8 of 8 paths over ")
    beside = next(fact for fact in finding.facts if fact.metric == "paths within each side")
    assert beside.observed == "4 of 4 answer"
    assert "uplinks" in finding.next_action


def test_one_host_that_is_cut_off_is_sent_to_its_port():
    (finding,) = findings("partition", HOSTS + benched("n3", Fate.CUT_OFF) + paths(*cut("n3")))

    assert "cut off from each other host" in finding.summary
    assert "6 of 6 paths" in finding.summary
    assert "fabric port" in finding.next_action


def test_a_network_that_answers_nobody_excludes_nothing_and_is_a_gap_once():
    text = HOSTS + STUCK + paths(more="answered = false")

    assert who_says_what(text) == [("hung-host", ("n2 <-> n3",))]
    assert len(gaps("partition", text)) == 1


def test_a_second_network_that_answers_makes_up_for_one_that_does_not():
    silent = paths(more='answered = false\nnetwork = "10.9.0.0/24"')

    assert gaps("partition", HOSTS + STUCK + silent + paths()) == []


def test_a_run_without_a_halt_says_nothing():
    assert [answer for id in OF_HALTS for answer in answers(id, HOSTS)] == []


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ('{ from = "n2", packets = "large" }', "that it sends vanish"),
        ('{ to = "n2", packets = "large" }', "that it is sent vanish"),
        ('{ from = "n2", packets = "large" }, { to = "n2", packets = "large" }', "that it sends and is sent vanish"),
    ],
)
def test_a_black_hole_says_which_way_it_swallows(lost, said):
    (finding,) = findings("mtu", HOSTS + benched("n2", Fate.BLACK_HOLE) + paths(lost))

    assert f"packets of 9000 bytes {said} in latency, round 3" in finding.summary
    assert finding.confidence is Confidence.HIGH


def odd(**mtus):
    lines = ", ".join(f"{host} = {mtu}" for host, mtu in mtus.items())
    return f"[[interfaces]]\nodd = {{ {lines} }}\n"


@pytest.mark.parametrize(
    ("hosts", "settings", "subjects"),
    [
        (4, {"n2": 1500}, [("n2",)]),
        (4, {"n2": 1500, "n3": 4200}, []),
        (4, {"n2": 1500, "n3": 1500}, []),
        (3, {"n2": 1500}, [("n2",)]),
        (2, {"n2": 1500}, []),
        (5, {"n2": 1500, "n3": 4200}, [("n2", "n3")]),
    ],
)
def test_an_odd_mtu_takes_a_majority_of_three_hosts_or_more(hosts, settings, subjects):
    text = f"hosts = {[f'n{number}' for number in range(1, hosts + 1)]}\n" + odd(**settings)

    found = findings("mtu", text)

    assert [each.subjects for each in found] == subjects
    assert all((each.severity, each.hosts) == (Severity.WARNS, ()) for each in found)


def test_a_host_whose_large_packets_vanish_is_not_warned_of_its_mtu_as_well():
    lost = '{ from = "n2", packets = "large" }'

    found = findings("mtu", HOSTS + odd(n2=9100) + benched("n2", Fate.BLACK_HOLE) + paths(lost))

    assert [each.severity for each in found] == [Severity.BLOCKS]
