"""Counters around a round: what has grown is told, what is not known is absent."""

from dataclasses import replace

import pytest

from netprobe.contracts import Source
from netprobe.model.counters import CounterWindow
from netprobe.session.counting import SETTLING_NS, Counting
from netprobe.system.here import recorded_system


class Readings:
    """A source that gives one reading after another."""

    def __init__(self, *readings, is_per_host=False):
        self._readings = list(readings)
        self.source = Source(id="s", title="a source", is_per_host=is_per_host, read=self._read)

    def _read(self, system):
        return self._readings.pop(0)


def clock(*times):
    left = list(times)
    return lambda: left.pop(0)


def window(*readings, is_first_on_host=True, is_per_host=False, now=(100, 350), settled=None):
    known = {"s": Readings(*readings, is_per_host=is_per_host).source}
    counting = Counting(
        is_first_on_host=is_first_on_host,
        known=known,
        now=clock(*now),
        settle=(lambda pause_s: None) if settled is None else settled,
    )
    counting.begin()
    return counting.end("latency", 3, 7)


def test_what_has_grown_is_told_with_where_and_for_how_long():
    found = window({"s/packets": 10, "s/drops": 0}, {"s/packets": 17, "s/drops": 0})

    assert found.grown == {"s/packets": 7, "s/drops": 0}
    assert (found.stage, found.round_index, found.rank, found.elapsed_ns) == ("latency", 3, 7, 250)


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, {"s/packets": 5}), ({"s/packets": 5}, {}), ({"s/packets": 5}, {"s/packets": 4})],
)
def test_a_counter_that_came_went_or_was_reset_is_absent_and_not_zero(before, after):
    assert window({**before, "s/drops": 1}, {**after, "s/drops": 3}).grown == {"s/drops": 2}


def test_a_reset_of_one_counter_costs_that_one_alone():
    assert window({"s/a": 9, "s/b": 9}, {"s/a": 0, "s/b": 10}).grown == {"s/b": 1}


@pytest.mark.parametrize(
    ("is_first_on_host", "is_per_host", "is_read"),
    [(True, True, True), (True, False, True), (False, False, True), (False, True, False)],
)
def test_what_all_ranks_of_a_host_would_read_alike_is_read_by_the_first_alone(is_first_on_host, is_per_host, is_read):
    found = window({"s/a": 1}, {"s/a": 2}, is_first_on_host=is_first_on_host, is_per_host=is_per_host)

    assert found.grown == ({"s/a": 1} if is_read else {})


def test_the_last_packets_are_waited_for_and_the_time_of_that_is_not_the_rounds():
    settled = []

    found = window({"s/a": 1}, {"s/a": 2}, settled=settled.append)

    assert settled == [SETTLING_NS / 1e9]
    assert found.elapsed_ns == 250


def test_of_a_stage_the_wait_for_the_last_packets_is_part_since_its_counters_go_on_meanwhile():
    at_ns = [0]
    source = Source(id="s", title="", is_per_host=False, read=lambda system: {"s/a": at_ns[0]}, in_stages=True,
                    settling_ns=lambda system: 1_200_000_000)  # fmt: skip

    def passes(pause_s):
        at_ns[0] += round(pause_s * 1e9)

    counting = Counting(is_first_on_host=True, known={"s": source}, now=lambda: at_ns[0], settle=passes)
    counting.begin_stage()
    passes(2.0)
    found = counting.end_stage("idle-before", 0)

    assert found.elapsed_ns == found.grown["s/a"] == 3_200_000_000


def test_each_round_counts_from_its_own_beginning():
    readings = Readings({"s/a": 1}, {"s/a": 3}, {"s/a": 10}, {"s/a": 11})
    counting = Counting(is_first_on_host=True, known={"s": readings.source}, settle=lambda pause_s: None)

    grown = []
    for round_index in range(2):
        counting.begin()
        grown.append(counting.end("latency", round_index, 0).grown["s/a"])

    assert grown == [2, 1]


def test_the_system_is_handed_to_the_source(tmp_path):
    asked = []
    source = Source(id="s", title="a source", is_per_host=False, read=lambda system: asked.append(system) or {})
    system = recorded_system(tmp_path)

    Counting(is_first_on_host=True, known={"s": source}, system=system).begin()

    assert asked == [system]


def test_what_costs_much_to_read_is_read_around_the_probes_that_it_is_for():
    dear = replace(Readings({"s/a": 1}, {"s/a": 5}).source, probes=frozenset({"host_noise"}))
    counting = Counting(is_first_on_host=True, known={"s": dear}, now=lambda: 0, settle=lambda pause_s: None)

    counting.begin("latency")
    assert counting.end("latency", 0, 0).grown == {}

    counting.begin("host_noise")
    assert counting.end("host_noise", 0, 0).grown == {"s/a": 4}


def by_second(*readings, takes_ns=0):
    """Return a source of one reading after another, each of which takes so long, and a clock."""
    at_ns, left = [0], list(readings)

    def read(system):
        at_ns[0] += takes_ns
        return left.pop(0)

    source = Source(id="s", title="", is_per_host=True, read=read, in_rounds=False, in_seconds=True)
    return Counting(is_first_on_host=True, known={"s": source}, now=lambda: at_ns[0], settle=lambda pause_s: None)


def test_a_second_counts_from_the_end_of_the_one_before_with_one_reading_each():
    counting = by_second({"s/a": 1}, {"s/a": 4}, {"s/a": 4, "s/b": 1}, {"s/a": 9, "s/b": 1})
    told = CounterWindow(stage="bursts", round_index=0, rank=0, elapsed_ns=10**9, grown={"t/a": 5})

    counting.begin_seconds()
    grown = [counting.with_second(told).grown for _ in range(3)]

    assert grown == [{"t/a": 5, "s/a": 3}, {"t/a": 5, "s/a": 0}, {"t/a": 5, "s/a": 5, "s/b": 0}]
    assert counting.too_slow() is None


def test_what_takes_too_long_each_time_is_read_no_more_and_that_is_told_once():
    counting = by_second(*({"s/a": each} for each in range(9)), takes_ns=30_000_000)
    told = CounterWindow(stage="bursts", round_index=0, rank=0, elapsed_ns=10**9, grown={})

    counting.begin_seconds()
    grown = [counting.with_second(told).grown for _ in range(4)]
    gaps = [counting.too_slow() for _ in range(2)]

    assert grown == [{"s/a": 1}, {"s/a": 1}, {}, {}]
    assert "took 30.0 ms a second" in gaps[0].reason
    assert gaps[1] is None
