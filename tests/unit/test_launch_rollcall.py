"""The roll call: who is asked what, who is asked again, and what is made of the answers."""

import math
from collections import Counter
from dataclasses import replace

import pytest

from netprobe.launch.pathcheck import Target
from netprobe.launch.remote import TIMED_OUT, Answer
from netprobe.launch.rollcall import (
    ALL_TO_ALL,
    LATE_TIMEOUT_S,
    MOVING_BYTES,
    STANDING_TIMEOUT_S,
    Asking,
    RollCall,
    path_targets,
)
from netprobe.model.endpoint import Interface
from netprobe.model.standing import HostReport, HostStanding, PathAnswer, Position, RankStanding, RankState
from netprobe.store.encoding import json_line
from netprobe.store.whereabouts import OPENING

HERE = Position(rank=0, host="h1", stage="latency", round_index=0, peer=1, is_measuring=True, steps=7)


def interface(address, network="10.1.0.0/24"):
    return Interface(name="eth1", address=address, network=network, mtu_bytes=9000)


def report(*, interfaces=(), moved_bytes=0, before=(), ranks=()):
    return HostReport(before=before, ranks=ranks, moved_bytes=moved_bytes, interfaces=interfaces)


def rank(steps=7, state=RankState.RUNS, position=HERE):
    noted = None if position is None else Position(**{**_fields(position), "steps": steps})
    return RankStanding(pid=1, state=state, position=noted)


def _fields(position):
    return {name: getattr(position, name) for name in position.__dataclass_fields__}


def answer(value):
    return Answer(code=0, lines=("a greeting of the host", json_line(value).decode()))


def network_of(count):
    """A call of so many hosts with one address each."""
    return RollCall(
        hosts=tuple(
            HostStanding(
                host=f"h{n}", report=report(interfaces=(interface(f"10.1.{n // 250}.{n % 250}", "10.1.0.0/16"),))
            )
            for n in range(count)
        )
    )


class Hosts:
    """Answers in turn for each host, and remembers who was asked, for how long."""

    def __init__(self, **answers):
        self.asked = []
        self.words = []
        self._answers = {host: list(each) if isinstance(each, list) else [each] for host, each in answers.items()}

    def ask(self, hosts, argv, timeout_s):
        self.asked.append((tuple(hosts), timeout_s))
        self.words.append(tuple(argv))
        return {host: self._next(host) for host in hosts}

    def _next(self, host):
        left = self._answers[host]
        return left.pop(0) if len(left) > 1 else left[0]

    def asking(self):
        return Asking(ask=self.ask, python="/venv/bin/python", environ={})


def test_every_host_that_answers_has_its_report():
    hosts = Hosts(h1=answer(report(moved_bytes=1)), h2=answer(report(moved_bytes=2)))

    call = hosts.asking().roll_call(["h1", "h2"], "beef")

    assert [(each.host, each.report.moved_bytes) for each in call.hosts] == [("h1", 1), ("h2", 2)]
    assert hosts.asked == [(("h1", "h2"), STANDING_TIMEOUT_S)]
    assert hosts.words[0][-1] == "beef"


LATE = Answer(code=TIMED_OUT, error="no answer for 5 s")
CUT_SHORT = Answer(code=0)  # it ended just as its time did, and what it had said was not read any more


@pytest.mark.parametrize("said", [LATE, CUT_SHORT])
def test_a_host_that_is_late_is_asked_again_for_longer_when_somebody_wants_to_know(said):
    hosts = Hosts(h1=answer(report()), h2=[said, answer(report())])

    first = hosts.asking().roll_call(["h1", "h2"], "beef")
    again = hosts.asking().with_late(first, "beef")

    assert (first.late, again.late) == (("h2",), ())
    assert hosts.asked == [(("h1", "h2"), STANDING_TIMEOUT_S), (("h2",), LATE_TIMEOUT_S)]
    assert [each.report is not None for each in (*first.hosts, *again.hosts)] == [True, False, True, True]


def test_a_host_that_is_dead_is_not_late():
    hosts = Hosts(h1=answer(report()), h2=Answer(code=255, error="No route to host"))

    call = hosts.asking().with_late(hosts.asking().roll_call(["h1", "h2"], "beef"), "beef")

    assert len(hosts.asked) == 1
    assert (call.hosts[1].report, call.hosts[1].error, call.late) == (None, "No route to host", ())


def test_a_host_that_stays_late_has_not_answered():
    hosts = Hosts(h1=[LATE, Answer(code=TIMED_OUT, error="no answer for 20 s")])

    call = hosts.asking().with_late(hosts.asking().roll_call(["h1"], "beef"), "beef")

    assert (call.late, call.hosts[0].error) == ((), "no answer for 20 s")


@pytest.mark.parametrize("line", ["", "{", "[]", '{"ranks": "none"}'])
def test_a_damaged_answer_is_no_report_and_says_so(line):
    call = Hosts(h1=Answer(code=0, lines=(line,))).asking().roll_call(["h1"], "beef")

    assert call.hosts[0].report is None
    assert call.hosts[0].error.startswith("its answer cannot be read")


def test_an_answer_without_a_word_is_no_report():
    assert Hosts(h1=Answer(code=0)).asking().roll_call(["h1"], "beef").hosts[0].report is None


def called(**changes):
    return RollCall(hosts=(HostStanding(host="h1", report=report(**changes)),))


@pytest.mark.parametrize(
    ("call", "moves"),
    [
        (called(before=(rank(7),), ranks=(rank(8),)), True),
        (called(before=(rank(7),), ranks=(rank(7),)), False),
        (called(before=(rank(position=None),), ranks=(rank(8),)), False),
        (called(moved_bytes=MOVING_BYTES + 1), False),
        (RollCall(hosts=(HostStanding(host="h1", report=None),)), False),
    ],
)
def test_a_job_gets_on_when_a_rank_makes_calls(call, moves):
    assert call.has_steps is moves


def test_bytes_that_flow_are_noticed_apart():
    assert called(moved_bytes=MOVING_BYTES + 1).has_traffic
    assert not called(moved_bytes=MOVING_BYTES).has_traffic


def test_a_rank_that_has_noted_nothing_yet_has_yet_to_start_unless_it_is_stopped():
    assert called(ranks=(rank(position=None),)).has_yet_to_start
    assert not called(ranks=(rank(position=None, state=RankState.STOPPED),)).has_yet_to_start
    assert not called(ranks=(rank(),)).has_yet_to_start


def test_a_rank_that_opens_its_gpu_may_take_its_time_unless_somebody_is_stopped_or_gone():
    opens = rank(position=replace(rank().position, stage=OPENING, round_index=0))

    assert called(ranks=(opens, rank())).is_opening
    assert called(ranks=(replace(opens, state=RankState.BLOCKED),)).is_opening
    assert not called(ranks=(rank(),)).is_opening
    assert not called(ranks=(opens, rank(state=RankState.STOPPED))).is_opening
    assert not called(ranks=(opens, rank(state=RankState.GONE))).is_opening


@pytest.mark.parametrize("state", RankState)
def test_every_rank_that_does_not_run_is_idle(state):
    assert called(ranks=(rank(state=state),)).has_idle_rank is (state is not RankState.RUNS)


def test_a_small_job_tries_every_path():
    targets = path_targets(network_of(ALL_TO_ALL))

    assert {src: {each.dst for each in found} for src, found in targets.items()} == {
        f"h{src}": {f"h{dst}" for dst in range(ALL_TO_ALL) if dst != src} for src in range(ALL_TO_ALL)
    }


@pytest.mark.parametrize("count", [ALL_TO_ALL + 1, 32, 64, 1000])
def test_a_large_job_tries_few_paths_at_each_host_and_each_of_them_both_ways(count):
    call = network_of(count)

    tried = [(each.src, each.dst) for found in path_targets(call).values() for each in found]

    assert set(tried) == {(dst, src) for src, dst in tried}
    assert all(src != dst for src, dst in tried)
    (most,) = set(Counter(dst for _, dst in tried).values())
    assert len(tried) == len(set(tried)) == count * most
    assert most <= 2 * math.ceil(math.log2(count))


def test_a_network_is_tried_only_from_hosts_that_are_on_it():
    fabric = [interface(f"10.1.0.{number}") for number in range(1, 9)]
    storage = [interface(f"10.9.0.{number}", "10.9.0.0/24") for number in range(1, 7)]
    call = RollCall(
        hosts=tuple(
            HostStanding(host=f"h{number + 1}", report=report(interfaces=(each, *storage[number : number + 1])))
            for number, each in enumerate(fabric)
        )
    )

    tried = [each for found in path_targets(call).values() for each in found]

    assert {each.src for each in tried if each.network == "10.9.0.0/24"} == {f"h{number}" for number in range(1, 7)}
    assert len([each for each in tried if each.src == "h8"]) == 7


def test_an_address_that_several_hosts_have_is_left_out():
    bridge = interface("172.17.0.1", "172.17.0.0/16")
    call = RollCall(
        hosts=tuple(
            HostStanding(host=f"h{n}", report=report(interfaces=(bridge, interface(f"10.1.0.{n}")))) for n in (1, 2)
        )
    )

    assert path_targets(call)["h1"] == [Target(src="h1", dst="h2", address="10.1.0.2", network="10.1.0.0/24")]


def test_a_host_that_did_not_answer_is_neither_asked_nor_tried():
    call = RollCall(hosts=(*network_of(3).hosts, HostStanding(host="dead", report=None)))

    targets = path_targets(call)

    assert "dead" not in {*targets, *(each.dst for found in targets.values() for each in found)}


def path(src, dst):
    return PathAnswer(src=src, dst=dst, interface="eth1", network="10.1.0.0/24", mtu_bytes=9000, small=True, full=True)


def test_each_host_is_asked_for_its_own_paths_and_the_answers_come_together():
    hosts = Hosts(h0=answer((path("h0", "h1"),)), h1=answer((path("h1", "h0"),)))

    call = hosts.asking().with_paths(network_of(2))

    assert set(call.paths) == {path("h0", "h1"), path("h1", "h0")}
    assert sorted(asked for asked, _ in hosts.asked) == [("h0",), ("h1",)]
    assert len(set(hosts.words)) == 2


@pytest.mark.parametrize("spoiled", [Answer(code=0, lines=("{",)), Answer(code=0), Answer(code=1, lines=("[]",))])
def test_a_damaged_answer_says_nothing_of_its_paths(spoiled):
    call = Hosts(h0=answer((path("h0", "h1"),)), h1=spoiled).asking().with_paths(network_of(2))

    assert call.paths == (path("h0", "h1"),)


def test_the_end_of_a_job_is_asked_for_by_its_mark():
    hosts = Hosts(h1=Answer(code=0), h2=Answer(code=255))

    hosts.asking().end(["h1", "h2"], "beef")

    assert hosts.asked[0][0] == ("h1", "h2")
    assert "end_job" in hosts.words[0][-2]
    assert hosts.words[0][-1] == "beef"
