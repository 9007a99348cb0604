"""The second pass of real sessions, on threads: whom a suspect meets again, where leaves are known and where not."""

import threading
from itertools import chain, count

import pytest

from netprobe.model.endpoint import Calibration
from netprobe.model.plan import Plan, Scope, Stage
from netprobe.model.record import PlanExtended, RanksReady
from netprobe.model.topology import Leaf
from netprobe.plan.task import Task, decode, encode
from netprobe.session.worker import Session
from netprobe.transports.loopback import LoopbackControl, LoopbackTransport, LoopbackWorld

HOSTS = 8
SLOW = 3
TICK_NS = 300_000
PLAN = Plan(
    profile="test",
    seed=3,
    stages=(
        Stage(
            id="bandwidth",
            probe="bandwidth",
            scope=Scope.BETWEEN_HOSTS,
            sizes_bytes=(512,),
            iterations=20,
            warmup_iterations=1,
            window=2,
        ),
    ),
    transport="loopback",
)


class Kept:
    def __init__(self):
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def last(self, kind):
        return [record for record in self.records if isinstance(record, kind)][-1]


def told(task, environment_of=lambda _rank: ()):
    """Run a task with a thread for each host; a clock ticks at each look, so that only the slow host's times differ."""
    world, errors, sink = LoopbackWorld(HOSTS), [], Kept()

    def rank_main(rank):
        ticks = count(0, TICK_NS * (2 if rank == SLOW else 1))
        session = Session(
            transport=LoopbackTransport(world, rank, clock=ticks.__next__),
            control=LoopbackControl(world, rank),
            sink=sink if rank == 0 else None,
            calibration=Calibration(clock_read_ns=25.0, empty_iteration_ns=30.0),
            environment=environment_of(rank),
            host=f"n{rank}",
        )
        try:
            session.run(decode(encode(task)))
        except BaseException as error:
            errors.append(error)
            world.fail()

    threads = [threading.Thread(target=rank_main, args=(rank,)) for rank in range(HOSTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return sink


def partners(sink):
    rounds = sink.last(PlanExtended).plan.stages[-1].rounds
    return {*chain.from_iterable(pair for pairs in rounds for pair in pairs if SLOW in pair)} - {SLOW}


def slurm(rank):
    address = f"spine.leaf{rank // 7}.n{rank}"
    return (("SLURM_TOPOLOGY_ADDR", address), ("SLURM_TOPOLOGY_ADDR_PATTERN", "switch.switch.node"))


@pytest.mark.parametrize("lonely", [0, 1, 2, 4, 5, 6, 7])
def test_a_suspect_meets_the_only_host_that_is_on_another_leaf(lonely):
    others = ",".join(f"n{rank}" for rank in range(HOSTS) if rank != lonely)
    leaves = (Leaf(switch="near", hosts=others), Leaf(switch="far", hosts=f"n{lonely}"))

    sink = told(Task(plan=PLAN, leaves=leaves))

    assert len(partners(sink)) == 2
    assert lonely in partners(sink)
    assert {rank.leaf for rank in sink.last(RanksReady).ranks if rank.rank != lonely} == {"near"}


def test_leaves_that_slurm_tells_its_ranks_are_used_as_well():
    sink = told(Task(plan=PLAN), slurm)

    assert 7 in partners(sink)
    assert [rank.leaf for rank in sink.last(RanksReady).ranks] == [*["leaf0"] * 7, "leaf1"]


def test_without_leaves_a_suspect_meets_two_partners_all_the_same():
    sink = told(Task(plan=PLAN))

    assert len(partners(sink)) == 2
    assert {rank.leaf for rank in sink.last(RanksReady).ranks} == {None}
