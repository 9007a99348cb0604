"""RDMA between ranks: data arrives, a pair that breaks is found broken by both ends, and the others go on."""

import threading

import pytest
from fake_verbs import Fabric, FakeDevice, endpoint

from netprobe.contracts import Assignment, Bench
from netprobe.errors import TransportError
from netprobe.model.plan import Path, Scope, Stage
from netprobe.model.rdma import FailurePhase, Operation, PairFailure, RdmaOptions
from netprobe.model.series import Phase
from netprobe.probes import bandwidth, bidirectional, latency
from netprobe.session.memory import BufferPool, allocator
from netprobe.transports.loopback import LoopbackControl, LoopbackTransport, LoopbackWorld
from netprobe.transports.verbs import VerbsTransport

PROBES = {"latency": latency.run, "bandwidth": bandwidth.run, "bidirectional": bidirectional.run}
STREAMING = [Operation.SEND, Operation.WRITE, Operation.WRITE_IMMEDIATE, Operation.READ]


def stage(probe="latency", operation=Operation.SEND, *, sizes=(1, 8, 5000), checks=2, **options):
    return Stage(
        id=f"rdma-{probe}", probe=probe, scope=Scope.BETWEEN_HOSTS, sizes_bytes=sizes, iterations=5, window=4,
        check_iterations=checks, path=Path.VERBS, rdma=RdmaOptions(operation=operation, **options),
    )  # fmt: skip


def on_ranks(devices, body):
    """Run body(bench) on a thread for each device; return results by rank, or raise what a rank raised."""
    world = LoopbackWorld(len(devices))
    results, errors = {}, []

    def main(rank):
        control = LoopbackControl(world, rank)
        transport = VerbsTransport(LoopbackTransport(world, rank), control, endpoint(rank), devices[rank])
        bench = Bench(
            transport=transport,
            control=control,
            seed=7,
            memory=BufferPool(allocator(None)).of(stage()),
            to_reference_ns=lambda stamps: stamps,
        )
        try:
            results[rank] = body(bench)
        except BaseException as error:
            errors.append(error)
            world.fail()

    threads = [threading.Thread(target=main, args=(rank,)) for rank in range(len(devices))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[rank] for rank in range(len(devices))]


def rounds(each, count=1):
    """Return a body that measures pairs (0, 1), (2, 3), … for so many rounds, and returns a tuple for each."""

    def body(bench):
        told = []
        for index in range(count):
            rank = bench.transport.rank
            assignment = Assignment(round_index=index, peer=rank ^ 1, leads=rank % 2 == 0)
            told.append(tuple(PROBES[each.probe](bench, each, assignment)))
            bench.control.barrier()
        return told

    return body


def two(fabric, **second):
    return [FakeDevice(fabric, 0), FakeDevice(fabric, 1, **second)]


def failure_of(results):
    (failure,) = (each for each in results if isinstance(each, PairFailure))
    return failure


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("operation", STREAMING)
def test_data_arrives_whatever_verb_carries_it(probe, operation):
    leader, follower = on_ranks(two(Fabric()), rounds(stage(probe, operation)))

    timed = [each for each in leader[0] if each.phase is Phase.TIMED]
    assert [each.size_bytes for each in timed] == [1, 8, 5000]
    assert all(each.iterations == 5 and each.checked_iterations == 3 and each.faults == () for each in timed)
    assert follower == [()]


def test_atomics_add_without_data_to_compare():
    leader, _ = on_ranks(two(Fabric()), rounds(stage(operation=Operation.ATOMIC, sizes=(8,), checks=0)))

    assert [(each.phase, each.checked_iterations) for each in leader[0]] == [(Phase.WARMUP, 0), (Phase.TIMED, 0)]


@pytest.mark.parametrize("probe", PROBES)
def test_a_round_leaves_neither_registered_memory_nor_queue_pairs(probe):
    fabric = Fabric()

    on_ranks(two(fabric), rounds(stage(probe), count=3))

    assert (fabric.links, fabric.regions, sorted(fabric.made)) == ({}, set(), [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("broken", [0, 1])
@pytest.mark.parametrize("probe", ["latency", "bidirectional"])
def test_who_saw_the_error_tells_why_whichever_end_it_was(broken, probe):
    fabric = Fabric()
    devices = [FakeDevice(fabric, rank, breaks_at=20 if rank == broken else None) for rank in range(2)]

    leader, follower = on_ranks(devices, rounds(stage(probe)))

    cause = failure_of(leader[0]).cause
    assert (cause.rank, cause.call, cause.status, cause.vendor_error) == (broken, "ibv_poll_cq", "RETRY_EXC_ERR", 129)
    assert (cause.phase, cause.after_messages) == (FailurePhase.LATER, 20)
    assert follower == [()]
    assert (fabric.links, fabric.regions) == ({}, set())


def test_sizes_that_were_measured_before_it_broke_are_kept():
    leader, _ = on_ranks(two(Fabric(), breaks_at=20), rounds(stage()))

    failure = failure_of(leader[0])
    assert {each.size_bytes for each in leader[0] if not isinstance(each, PairFailure)} == {1}
    assert (failure.stage, failure.src, failure.dst, failure.size_bytes) == ("rdma-latency", 0, 1, 8)


@pytest.mark.parametrize(
    ("breaks_at", "phase", "messages"), [(0, FailurePhase.FIRST_MESSAGE, 0), (1, FailurePhase.LATER, 1)]
)
def test_a_pair_that_never_worked_is_told_from_one_that_did(breaks_at, phase, messages):
    leader, _ = on_ranks(two(Fabric(), breaks_at=breaks_at), rounds(stage()))

    cause = failure_of(leader[0]).cause
    assert (cause.phase, cause.after_messages) == (phase, messages)


def test_flushed_requests_are_a_consequence_and_no_cause():
    fabric = Fabric()
    flushed = FakeDevice(fabric, 0, breaks_at=0, error={"status": "WR_FLUSH_ERR"})
    failed = FakeDevice(fabric, 1, breaks_at=0, error={"status": "REM_ACCESS_ERR"})

    leader, _ = on_ranks([flushed, failed], rounds(stage("bidirectional")))

    assert (failure_of(leader[0]).cause.rank, failure_of(leader[0]).cause.status) == (1, "REM_ACCESS_ERR")


def test_who_merely_waited_does_not_tell_why_a_request_was_refused():
    refused = {"error": "Cannot allocate memory"}

    leader, _ = on_ranks(two(Fabric(), breaks_at=2, error=refused), rounds(stage()))

    assert (failure_of(leader[0]).cause.rank, failure_of(leader[0]).cause.error) == (1, "Cannot allocate memory")


@pytest.mark.parametrize("call", ["ibv_reg_mr", "ibv_create_qp", "ibv_modify_qp to RTR"])
def test_a_pair_that_cannot_be_set_up_says_which_call_failed_and_leaves_nothing(call):
    fabric = Fabric()

    leader, _ = on_ranks(two(fabric, fails={call: "Connection timed out"}), rounds(stage()))

    failure = failure_of(leader[0])
    assert (failure.cause.rank, failure.cause.phase, failure.cause.call, failure.cause.error) == (
        1, FailurePhase.SET_UP, call, "Connection timed out",
    )  # fmt: skip
    assert failure.size_bytes is None
    assert (fabric.links, fabric.regions) == ({}, set())


def test_a_broken_pair_does_not_stop_the_other():
    fabric = Fabric()
    devices = [FakeDevice(fabric, rank, breaks_at=3 if rank == 1 else None) for rank in range(4)]

    told = on_ranks(devices, rounds(stage(), count=2))

    assert [isinstance(each, PairFailure) for each in told[0][0]] == [True]
    assert not any(isinstance(each, PairFailure) for results in told[2] for each in results)
    assert [len(results) for results in told[2]] == [6, 6]


def test_the_next_round_has_queue_pairs_of_its_own():
    leader, _ = on_ranks(two(Fabric(), breaks_at=0), rounds(stage(), count=2))

    assert isinstance(failure_of(leader[0]), PairFailure)
    assert [each.size_bytes for each in leader[1] if each.phase is Phase.TIMED] == [1, 8, 5000]


def test_a_queue_holds_twice_the_window_as_far_as_the_device_allows():
    fabric = Fabric()
    devices = two(fabric)
    devices[0].most_messages = 200

    on_ranks(devices, rounds(Stage(
        id="wide", probe="bandwidth", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8,), iterations=2, window=150,
        path=Path.VERBS, rdma=RdmaOptions(operation=Operation.WRITE),
    )))  # fmt: skip

    assert (devices[0].depths, devices[1].depths) == ([200], [300])


def test_messages_to_a_peer_without_a_connection_are_a_mistake():
    def body(bench):
        bench.transport.stream(sends=True, peer=1, address=0, size_bytes=8, window=1, iterations=1)

    with pytest.raises(TransportError, match="rank 0 has no connection to rank 1"):
        on_ranks([FakeDevice(Fabric(), 0)], body)
