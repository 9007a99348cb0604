"""A traced ring on threads: one hop is slowed down, and that hop is named, not those who wait for it."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from netprobe.contracts import Assignment, Bench
from netprobe.judge.evidence import evidence_of
from netprobe.model.limits import Limits
from netprobe.model.plan import Memory, Plan, Scope, Stage
from netprobe.model.run import Launch, RunStatus
from netprobe.plan.task import Task
from netprobe.probes.traced_ring import PROBE
from netprobe.registry import detectors
from netprobe.session.threads import run_on_threads
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter
from netprobe.transports.loopback import LoopbackControl, LoopbackTransport, LoopbackWorld, clean_wire

RING = Stage(
    id="traced_ring",
    probe="traced_ring",
    scope=Scope.WORLD,
    sizes_bytes=(4096,),
    dtype="float32",
    iterations=4,
    warmup_iterations=1,
)


def measured(tmp_path, ranks, *stages, wire=clean_wire):
    plan = Plan(profile="test", seed=3, stages=stages, transport="loopback")
    launch = Launch(method="loopback", argv=(), mpi="")
    writer = RunWriter.create(tmp_path, plan, launch, started=datetime(2026, 1, 1, tzinfo=UTC), run_id="test")
    run_on_threads(Task(plan=plan), ranks, writer, wire=wire, host_of=lambda rank: f"n{rank}")
    writer.close(RunStatus.COMPLETE, None)
    return read_run(writer.directory)


def slowed(slow, *, least_bytes=100):
    """Return a wire on which one hop is far slower than what the scheduler adds to a thread's turn."""

    def wire(src, dst, payload):
        if len(payload) >= 100:
            time.sleep(0.03 if (src, dst) == slow and len(payload) >= least_bytes else 0.005)
        return payload

    return wire


def answers(run):
    """Return what is said of hops, as on hosts where no thread has to wait for a CPU."""
    evidence = replace(evidence_of(run), waiting_ratio={})
    return list(detectors()["slow-hop"].detect(evidence, Limits()))


def test_a_slow_hop_is_named_and_those_who_wait_for_it_are_not(tmp_path):
    (finding,) = answers(measured(tmp_path, 5, RING, wire=slowed((2, 3))))

    assert finding.subjects == ("n2 -> n3",)
    assert finding.hosts == ()
    assert "not measured alone" in finding.summary


def test_the_hop_from_the_last_rank_to_the_first_is_one_as_well(tmp_path):
    (finding,) = answers(measured(tmp_path, 4, RING, wire=slowed((3, 0))))

    assert finding.subjects == ("n3 -> n0",)


@pytest.mark.parametrize(
    ("spoilt_bytes", "says"),
    [(100, "alone the pair is slow as well"), (1000, "as fast as others, so it is slow only while all work at once")],
)
def test_what_the_pair_does_alone_is_said_beside_it(tmp_path, spoilt_bytes, says):
    # Chunks of the ring have 1638 or 1640 bytes, messages of the pairs 600: the wire spoils either both or the ring.
    pairs = Stage(
        id="bandwidth", probe="bandwidth", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(600,), window=2, iterations=4,
        warmup_iterations=1, matchings=4,
    )  # fmt: skip
    ring = replace(RING, sizes_bytes=(8192,))

    (finding,) = answers(measured(tmp_path, 5, pairs, ring, wire=slowed((1, 2), least_bytes=spoilt_bytes)))

    assert finding.subjects == ("n1 -> n2",)
    assert says in finding.summary


def test_every_hop_is_told_with_what_it_carried(tmp_path):
    (table,) = evidence_of(measured(tmp_path, 5, RING)).hops

    assert sorted(zip(table.src.tolist(), table.dst.tolist(), strict=True)) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]
    assert table.messages == 8
    # 1,024 elements in chunks of 205, 205, 205, 205 and 204: two chunks of each rank are there without the hop.
    assert sorted(table.bytes_per_iteration.tolist()) == [6552, 6552, 6552, 6556, 6556]


def test_a_ring_of_two_hops_is_said_to_tell_nothing_of_either(tmp_path):
    (gap,) = answers(measured(tmp_path, 2, RING))

    assert "no ring had 3 hops" in gap.reason


@pytest.mark.parametrize(
    ("traits", "says"),
    [
        ({"dtype": "float64"}, "reduces no float64 by sum"),
        ({"op": "prod"}, "reduces no float32 by prod"),
        ({"send_memory": Memory.DEVICE, "receive_memory": Memory.DEVICE}, "host's memory alone"),
    ],
)
def test_what_a_ring_cannot_reduce_is_a_gap_that_undermines(traits, says):
    # It asks for nothing of a transport: before anything is sent, all ranks know.
    lone = LoopbackWorld(1)
    bench = Bench(
        transport=LoopbackTransport(lone, 0),
        control=LoopbackControl(lone, 0),
        seed=1,
        memory=lambda role, size_bytes: pytest.fail(f"asked for {size_bytes} bytes of {role}"),
        to_reference_ns=lambda stamps: stamps.astype(float),
    )

    (gap,) = PROBE.run(bench, replace(RING, **traits), Assignment(round_index=0, peer=None, leads=True))

    assert gap.undermines
    assert says in gap.reason
