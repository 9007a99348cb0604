"""Datagrams between two ranks: each end counts its own, and what is lost is lost in one direction."""

import threading

import pytest
from fake_verbs import Fabric, FakeDevice, Sending, endpoint

from netprobe.contracts import Assignment, Bench
from netprobe.model.counters import DatagramCounts
from netprobe.model.finding import Gap
from netprobe.model.plan import Path, Scope, Stage
from netprobe.model.rdma import PairFailure, RdmaOptions
from netprobe.model.series import Metric, Series
from netprobe.probes import reach
from netprobe.session.memory import BufferPool, allocator
from netprobe.transports._verbs_engine import NicClock
from netprobe.transports.loopback import LoopbackControl, LoopbackTransport, LoopbackWorld
from netprobe.transports.verbs_datagrams import VerbsDatagrams

NS_CLOCK = NicClock(mask=(1 << 48) - 1, khz=1_000_000)


def stage(**options):
    return Stage(
        id="rdma-reach", probe="reach", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(64, 4096), iterations=50,
        path=Path.VERBS, rdma=RdmaOptions(**options),
    )  # fmt: skip


def measured(*devices, rounds=1, of=None):
    """Return what the leader and the other end of a pair tell."""
    world, results, errors = LoopbackWorld(2), {}, []

    def main(rank):
        control = LoopbackControl(world, rank)
        bench = Bench(
            transport=LoopbackTransport(world, rank), control=control, seed=7,
            memory=BufferPool(allocator(None)).of(stage()),
            to_reference_ns=lambda stamps: stamps, datagrams=VerbsDatagrams(control, endpoint(rank), devices[rank]),
        )  # fmt: skip
        try:
            for index in range(rounds):
                assignment = Assignment(round_index=index, peer=1 - rank, leads=rank == 0)
                results[rank] = reach.run(bench, of or stage(), assignment)
        except BaseException as error:
            errors.append(error)
            world.fail()

    threads = [threading.Thread(target=main, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results[0], results[1]


def two(fabric, first=None, second=None, **both):
    return [
        FakeDevice(fabric, 0, datagrams=first or Sending(**both)),
        FakeDevice(fabric, 1, datagrams=second or Sending(**both)),
    ]


def counts(results):
    return {each.size_bytes: each for each in results if isinstance(each, DatagramCounts)}


def series(results, metric=Metric.ROUND_TRIP):
    return {each.size_bytes: each for each in results if isinstance(each, Series) and each.metric is metric}


def test_both_ends_count_and_the_leader_times():
    leader, other = measured(*two(Fabric()))

    for told in (counts(leader), counts(other)):
        assert {size: (each.sent, each.received) for size, each in told.items()} == {64: (50, 50), 4096: (50, 50)}
    assert {size: each.iterations for size, each in series(leader).items()} == {64: 50, 4096: 50}
    assert series(other) == {}


def test_the_largest_is_what_both_ports_carry_and_the_wish_allows():
    leader, _ = measured(*two(Fabric(), second=Sending(largest_bytes=1024)))
    wished, _ = measured(*two(Fabric()), of=stage(path_mtu_bytes=512))

    assert (sorted(counts(leader)), sorted(counts(wished))) == ([64, 1024], [64, 512])


def test_pings_that_are_lost_are_missed_by_the_other_end():
    leader, other = measured(*two(Fabric(), first=Sending(loses=lambda number, _: number % 10 == 0)))

    assert (counts(leader)[64].sent, counts(other)[64].received) == (50, 45)
    assert (counts(other)[64].sent, counts(leader)[64].received) == (45, 45)
    assert series(leader)[64].iterations == 45


def test_echoes_that_are_lost_are_missed_by_the_leader():
    leader, other = measured(*two(Fabric(), second=Sending(loses=lambda number, _: number % 10 == 0)))

    assert (counts(leader)[64].sent, counts(other)[64].received) == (50, 50)
    assert (counts(other)[64].sent, counts(leader)[64].received) == (50, 45)


def test_without_any_answer_there_are_counts_and_no_times():
    leader, other = measured(*two(Fabric(), first=Sending(loses=lambda _, size: size > 1000)))

    assert sorted(series(leader)) == [64]
    assert (counts(leader)[4096].sent, counts(other)[4096].received, counts(leader)[4096].received) == (50, 0, 0)


def test_stamps_at_both_ends_tell_wire_and_hosts_apart():
    leader, _ = measured(*two(Fabric(), clock=NS_CLOCK))

    told = {metric: series(leader, metric)[64] for metric in (Metric.WIRE, Metric.RESPONDING, Metric.PROBING)}
    assert {metric: (each.min_ns, each.max_ns) for metric, each in told.items()} == {
        Metric.WIRE: (200, 200), Metric.RESPONDING: (40, 40), Metric.PROBING: (760, 760),
    }  # fmt: skip
    assert counts(leader)[64].stamped == 50


def test_stamps_at_one_end_are_counted_and_tell_no_times():
    leader, other = measured(*two(Fabric(), first=Sending(clock=NS_CLOCK)))

    assert series(leader, Metric.WIRE) == {}
    assert (counts(leader)[64].stamped, counts(other)[64].stamped) == (50, 0)


@pytest.mark.parametrize("without", [0, 1])
def test_an_end_without_datagrams_is_a_gap_and_no_failure(without):
    devices = two(Fabric())
    devices[without].sends.missing = "iwarp0 makes no queue pairs for datagrams (UD)"

    leader, other = measured(*devices)

    assert leader == (Gap(topic="reach", reason="iwarp0 makes no queue pairs for datagrams (UD)"),)
    assert other == ()


@pytest.mark.parametrize("call", ["ibv_reg_mr", "ibv_create_ah"])
def test_a_pair_that_cannot_meet_fails_at_both_ends_and_leaves_nothing(call):
    fabric = Fabric()
    devices = two(fabric)
    devices[1].fails = {call: "Connection timed out"}

    leader, other = measured(*devices)

    (failure,) = leader
    assert isinstance(failure, PairFailure)
    assert (failure.cause.rank, failure.cause.call, failure.size_bytes) == (1, call, None)
    assert (other, fabric.links) == ((), {})


def test_rounds_leave_no_queue_pairs():
    fabric = Fabric()

    measured(*two(fabric), rounds=3)

    assert fabric.links == {}
