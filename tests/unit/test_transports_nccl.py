"""The NCCL transport: data, stamps, graphs, and peers that are gone; with the fake, which really moves memory."""

import time

import numpy as np
import pytest
from fake_nccl import FakeWorld
from nccl_ranks import on_ranks

from netprobe.contracts import Collective
from netprobe.errors import TransportError
from netprobe.model.collective import SHAPES
from netprobe.transports._nccl_series import BATCH, BATCH_BYTES, batch_of
from netprobe.transports._nccl_watch import Watch

FEW = 5
COUNT = 6
HELD = []
"""Memory whose address alone is handed over."""


def words(*values):
    return np.array(values, dtype=np.int32)


def call(kind, send, receive, *, in_place=False, count=1, root=0, op="sum"):
    HELD.extend((send, receive))
    return Collective(
        shape=SHAPES[kind],
        send_address=send.ctypes.data,
        receive_address=receive.ctypes.data,
        send_count=count,
        receive_count=count,
        dtype="int32",
        op=op if SHAPES[kind].reduces else None,
        root=root,
        in_place=in_place,
    )


def ran(kind, ranks=3, *, iterations=1, in_place=False, root=0, world=None):
    """Return what each rank holds afterwards; rank r begins with 10 r, 10 r + 1, …"""

    def work(transport, rank):
        send, receive = words(*(10 * rank + i for i in range(COUNT))), np.full(COUNT, -1, dtype=np.int32)
        if in_place or kind == "broadcast":
            receive[:] = send
        if in_place and kind == "allgather":
            receive[:] = -1
            receive[rank] = send[0]
        stamps = transport.collective(call(kind, send, receive, in_place=in_place, root=root), iterations=iterations)
        assert len(stamps) == iterations + 1
        assert (np.diff(stamps) >= 0).all()
        return receive[:ranks].tolist()

    return on_ranks(work, ranks, world=world)


@pytest.mark.parametrize("world", [FakeWorld, lambda: FakeWorld(captures=False)])
@pytest.mark.parametrize("iterations", [1, FEW])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("allreduce", [[30, -1, -1]] * 3),
        ("allgather", [[0, 10, 20]] * 3),
        ("reducescatter", [[30, -1, -1], [33, -1, -1], [36, -1, -1]]),
        ("alltoall", [[0, 10, 20], [1, 11, 21], [2, 12, 22]]),
        ("broadcast", [[0, 1, 2], [0, 11, 12], [0, 21, 22]]),
        ("reduce", [[30, -1, -1], [-1, -1, -1], [-1, -1, -1]]),
        ("sendrecv", [[20, -1, -1], [0, -1, -1], [10, -1, -1]]),
    ],
)
def test_each_collective_leaves_what_mpi_would(kind, expected, iterations, world):
    assert ran(kind, iterations=iterations, world=world()) == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("allreduce", [[30, 1, 2], [30, 11, 12], [30, 21, 22]]),
        ("allgather", [[0, 10, 20]] * 3),
        ("alltoall", [[0, 10, 20], [1, 11, 21], [2, 12, 22]]),
    ],
)
def test_in_place_leaves_what_mpi_would(kind, expected):
    assert ran(kind, in_place=True) == expected


def test_a_reduction_that_scatters_in_place_leaves_each_part_at_the_beginning():
    assert [held[0] for held in ran("reducescatter", in_place=True)] == [30, 33, 36]


def test_a_root_is_any_rank():
    assert [held[0] for held in ran("broadcast", root=2)] == [20, 20, 20]


def test_a_barrier_moves_nothing():
    assert ran("barrier", iterations=FEW) == [[-1, -1, -1]] * 3


def pair_of(send, receive, operation, world=None):
    """Run something on two ranks; return the bytes that each has received."""

    def work(transport, rank):
        transport.connect(None, 1 - rank, ())
        stamps = operation(transport, rank, send[rank].ctypes.data, receive[rank].ctypes.data)
        transport.disconnect()
        return stamps

    return on_ranks(work, world=world)


def memory(size_bytes):
    return (
        [np.full(size_bytes, 3 + rank, dtype=np.uint8) for rank in range(2)],
        [np.zeros(size_bytes, dtype=np.uint8) for _ in range(2)],
    )


def test_a_ping_comes_back():
    send, receive = memory(64)

    stamps = pair_of(send, receive, lambda transport, rank, out, into: transport.pingpong(
        initiates=rank == 0, peer=1 - rank, send=out, receive=into, size_bytes=64, iterations=FEW))  # fmt: skip

    assert [len(each) for each in stamps] == [FEW + 1] * 2
    assert (receive[0] == 4).all()
    assert (receive[1] == 3).all()


def test_each_message_of_a_window_arrives_in_its_own_place():
    send, receive = memory(4 * 16)
    send[0][:] = np.arange(64)

    pair_of(send, receive, lambda transport, rank, out, into: transport.stream(
        sends=rank == 0, peer=1 - rank, address=into if rank else out, size_bytes=16, window=4, iterations=FEW,
        stride_bytes=16))  # fmt: skip

    assert receive[1].tolist() == list(range(64))


def test_both_ways_at_once_both_arrive():
    send, receive = memory(4 * 16)

    pair_of(send, receive, lambda transport, rank, out, into: transport.exchange(
        peer=1 - rank, send=out, receive=into, size_bytes=16, window=4, iterations=FEW, stride_bytes=16))  # fmt: skip

    assert (receive[0] == 4).all()
    assert (receive[1] == 3).all()


def test_stamps_are_moments_of_the_hosts_clock():
    began = time.monotonic_ns()

    def work(transport, _rank):
        held = words(1)
        return transport.collective(call("allreduce", held, words(0)), iterations=FEW)

    for stamps in on_ranks(work):
        assert began < stamps[0] < stamps[-1] < time.monotonic_ns()


def launches_of(iterations, world):
    """Return how often a rank put something onto its stream to run a barrier so many times."""

    def work(transport, _rank):
        before = transport._stream.launches
        transport.collective(call("barrier", words(0), words(0)), iterations=iterations)
        return transport._stream.launches - before

    [count, other] = on_ranks(work, world=world)
    assert count == other
    return count


def test_a_batch_is_launched_at_once():
    assert launches_of(2 * BATCH, FakeWorld()) == 2
    assert launches_of(BATCH + 7, FakeWorld()) == 2


def test_without_graphs_each_operation_is_launched_and_that_is_said():
    world = FakeWorld(captures=False)

    def work(transport, _rank):
        transport.try_out()
        return transport.no_graphs, transport.description

    for why, description in on_ranks(work, world=world):
        assert "operation not permitted" in why
        assert description == "NCCL 2.21.5 (launched one by one)"
    assert launches_of(BATCH, FakeWorld(captures=False)) > BATCH


def test_graphs_whose_events_are_lost_are_given_up_before_anything_is_measured():
    def work(transport, _rank):
        transport.try_out()
        stamps = transport.collective(call("allreduce", words(1), words(0)), iterations=FEW)
        return transport.no_graphs, len(stamps)

    for why, count in on_ranks(work, world=FakeWorld(records_in_graphs=False)):
        assert why.startswith("elapsed")
        assert count == FEW + 1


def test_one_rank_without_graphs_goes_on_with_one_that_has_them():
    class Mixed(FakeWorld):
        def opens(self, ordinal, settings):
            library = super().opens(ordinal, settings)
            if ordinal:
                library._stream._world = FakeWorld(captures=False)
            return library

    def work(transport, _rank):
        transport.try_out()
        target = words(0)
        transport.collective(call("allreduce", words(2), target), iterations=FEW)
        return target[0]

    assert on_ranks(work, world=Mixed()) == [4, 4]


@pytest.mark.parametrize("world", [FakeWorld(), FakeWorld(captures=False)], ids=["graphs", "no graphs"])
def test_undivided_a_series_is_stamped_before_and_after_and_moves_the_same(world):
    def work(transport, _rank):
        target = words(0)
        stamps = transport.undivided().collective(call("allreduce", words(2), target), iterations=FEW)
        return len(stamps), stamps[1] > stamps[0], target[0]

    assert on_ranks(work, world=world) == [(2, True, 4), (2, True, 4)]


def test_undivided_a_series_has_no_event_between_its_iterations():
    def work(transport, _rank):
        before = transport._stream.launches
        transport.undivided().collective(call("barrier", words(0), words(0)), iterations=FEW)
        return transport._stream.launches - before

    # One by one: meeting, an event, the iterations, an event.
    assert on_ranks(work, world=FakeWorld(captures=False)) == [FEW + 3, FEW + 3]
    assert on_ranks(work) == [1, 1]


def test_all_to_alls_in_place_share_their_room_divided_or_not():
    def work(transport, rank):
        held = words(*(10 * rank + peer for peer in range(2)))
        for each in (transport.undivided(), transport):
            each.collective(call("alltoall", held, held, in_place=True), iterations=1)
        return held.tolist(), len(transport._library._memory)

    # Twice transposed; one memory for the words of the transport, one for both.
    assert on_ranks(work) == [([0, 1], 2), ([10, 11], 2)]


def test_large_messages_are_launched_one_by_one_and_all_ranks_agree_on_it():
    assert batch_of(BATCH_BYTES) == batch_of(2 * BATCH_BYTES) == 1
    assert batch_of(8) == batch_of(0) == BATCH
    assert batch_of(BATCH_BYTES // 4) == 4


def test_arrival_is_told_by_the_hosts_clocks():
    def work(transport, _rank):
        return transport.aligned_collective(call("allreduce", words(1), words(0)), iterations=3)

    for entries, exits in on_ranks(work):
        assert (exits > entries).all()
        assert (entries[1:] > exits[:-1]).all()


def test_clocks_are_compared_by_what_lies_below():
    def work(transport, rank):
        return transport.clock_pings(serves=rank == 0, peer=1 - rank, count=2).shape

    assert on_ranks(work) == [(2, 3), (2, 3)]


@pytest.mark.parametrize("captures", [True, False])
def test_a_peer_that_never_comes_is_an_error_after_the_deadline(captures):
    def work(transport, rank):
        if rank == 1:
            return None
        return transport.collective(call("allreduce", words(1), words(0)), iterations=FEW)

    error, _ = on_ranks(work, world=FakeWorld(captures=captures), patience_s=0.2)

    assert isinstance(error, TransportError)
    assert str(error) == "NCCL failed on rank 0: nothing moved for 0 s"


def test_what_nccl_says_meanwhile_is_the_error_and_names_the_peer():
    world = FakeWorld(errors={0: "NCCL_ERROR_REMOTE_ERROR: remote process exited or there was a network error"})

    def work(transport, rank):
        return None if rank else transport.connect(None, 1, ())

    error, _ = on_ranks(work, world=world)

    assert "NCCL failed on rank 0 with rank 1: NCCL_ERROR_REMOTE_ERROR" in str(error)
    assert world.aborted == [0]


def test_a_communicator_that_was_aborted_is_not_used_again_nor_given_back():
    world = FakeWorld(errors={0: "NCCL_ERROR_REMOTE_ERROR"})

    def work(transport, rank):
        if rank:
            return None
        for _ in range(2):
            with pytest.raises(TransportError, match="REMOTE"):
                transport.collective(call("allreduce", words(1), words(0)), iterations=1)
        transport.close()
        return transport._stream._pending

    assert on_ranks(work, world=world) == [[], None]
    assert world.aborted == [0]
    assert world.destroyed == []


class Looked:
    """A communicator that is well, and counts how often it was asked; its clock stands still."""

    def __init__(self):
        self.now = 0.0
        self.looks = 0
        self.aborts = 0

    def async_error(self):
        self.looks += 1

    def abort(self):
        self.aborts += 1

    def looked_at(self, watch, now):
        """Set the clock, and return the verdict after the watch has looked."""
        self.now, seen = now, self.looks
        while self.looks < seen + 2 and watch.verdict is None:
            time.sleep(0.001)
        return watch.verdict


def test_whatever_moves_may_take_longer_than_the_patience_in_all():
    well = Looked()
    watch = Watch(well, patience_s=10, poll_s=0.001, clock=lambda: well.now)

    with watch.over():
        assert well.looked_at(watch, 9) is None
        watch.moved()
        assert well.looked_at(watch, 18) is None
        assert well.looked_at(watch, 20) == "nothing moved for 11 s"
    watch.end("later")

    assert (watch.verdict, well.aborts) == ("nothing moved for 11 s", 1)


def test_a_communicator_is_given_back_in_peace():
    world = FakeWorld()

    on_ranks(lambda transport, _rank: transport.close(), world=world)

    assert sorted(world.destroyed) == [0, 1]
    assert world.aborted == []


def test_what_the_library_lacks_is_told():
    def work(transport, _rank):
        return transport.supports("bfloat16", "sum"), transport.supports("float32", "max")

    assert on_ranks(work)[0] == ("NumPy, which reduces here, has no bfloat16", None)
