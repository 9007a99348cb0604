"""The timed loops over a library of fakes: which calls in which order, with what; stamps; and calls that fail."""

import ctypes
import subprocess
import sys
from ctypes import CFUNCTYPE, c_int, c_int64, c_void_p

import numpy as np
import pytest

from netprobe import _native

COMM, TYPE, BYTE, OP = 0x44000000, 0x4C000405, 0x4C00010D, 0x58000003
SEND, RECEIVE, ACK = 0x1000, 0x2000, 0x3000
PEER, TAG = 3, 17
IGNORE, IGNORE_ALL = 1, 2
IN_PLACE = -1
SIGNATURES = {
    "Send": (c_void_p, c_int, c_int64, c_int, c_int, c_int64),
    "Recv": (c_void_p, c_int, c_int64, c_int, c_int, c_int64, c_void_p),
    "Isend": (c_void_p, c_int, c_int64, c_int, c_int, c_int64, c_void_p),
    "Irecv": (c_void_p, c_int, c_int64, c_int, c_int, c_int64, c_void_p),
    "Waitall": (c_int, c_void_p, c_void_p),
    "Testall": (c_int, c_void_p, c_void_p, c_void_p),
    "Barrier": (c_int64,),
    "Allreduce": (c_void_p, c_void_p, c_int, c_int64, c_int64, c_int64),
    "Allgather": (c_void_p, c_int, c_int64, c_void_p, c_int, c_int64, c_int64),
    "Reduce_scatter_block": (c_void_p, c_void_p, c_int, c_int64, c_int64, c_int64),
    "Alltoall": (c_void_p, c_int, c_int64, c_void_p, c_int, c_int64, c_int64),
    "Bcast": (c_void_p, c_int, c_int64, c_int, c_int64),
    "Reduce": (c_void_p, c_void_p, c_int, c_int64, c_int64, c_int, c_int64),
}


class Library:
    """An MPI that only notes its calls, and fails where it is told to."""

    def __init__(self, request_bytes):
        self.calls = []
        self.fails_at = {}
        self.request_bytes = request_bytes
        self._functions = {name: self._function(name, types) for name, types in SIGNATURES.items()}
        self.addresses = {name: ctypes.cast(each, c_void_p).value for name, each in self._functions.items()}

    def _function(self, name, types):
        def call(*args):
            self.calls.append((name, *args))
            seen = sum(each[0] == name for each in self.calls)
            return self.fails_at.get(name, {}).get(seen, 0)

        return CFUNCTYPE(c_int, *types)(call)

    def bind(self):
        _native.mpi_bind(
            self.addresses,
            request_bytes=self.request_bytes,
            status_ignore=IGNORE,
            statuses_ignore=IGNORE_ALL,
        )

    @property
    def names(self):
        return [each[0] for each in self.calls]


@pytest.fixture(params=[4, 8], ids=["int-requests", "pointer-requests"])
def library(request):
    bound = Library(request.param)
    bound.bind()
    yield bound
    HELD.append(bound)  # the native side keeps the addresses until another library is bound


HELD = []


def stamps_for(iterations):
    return np.full(iterations + 1, -1, dtype=np.int64)


def assert_one_stamp_each(stamps):
    assert np.all(stamps > 0)
    assert np.all(np.diff(stamps) >= 0)


def test_the_initiator_has_one_message_under_way_before_and_after_its_iterations(library):
    stamps = stamps_for(3)

    _native.pingpong(True, SEND, RECEIVE, 8, TYPE, PEER, TAG, COMM, stamps)

    sent = ("Send", SEND, 8, TYPE, PEER, TAG, COMM)
    received = ("Recv", RECEIVE, 8, TYPE, PEER, TAG, COMM, IGNORE)
    assert library.calls == [sent, *[received, sent] * 3, received]
    assert_one_stamp_each(stamps)


def test_the_other_end_of_a_ping_pong_answers_every_message(library):
    stamps = stamps_for(3)

    _native.pingpong(False, SEND, RECEIVE, 8, TYPE, PEER, TAG, COMM, stamps)

    assert library.names == ["Recv", "Send"] * 4
    assert_one_stamp_each(stamps)


def test_a_window_is_sent_completed_and_acknowledged(library):
    stamps = stamps_for(2)

    _native.stream(True, SEND, 8, TYPE, PEER, TAG, COMM, 3, 0, ACK, stamps)

    assert library.names == (["Isend"] * 3 + ["Waitall", "Recv"]) * 2
    requests = [each[-1] for each in library.calls[:3]]
    assert np.diff(requests).tolist() == [library.request_bytes] * 2
    assert library.calls[3] == ("Waitall", 3, requests[0], IGNORE_ALL)
    assert library.calls[4] == ("Recv", ACK, 0, TYPE, PEER, TAG + 1, COMM, IGNORE)
    assert_one_stamp_each(stamps)


def test_a_window_is_received_completed_and_acknowledged(library):
    _native.stream(False, RECEIVE, 8, TYPE, PEER, TAG, COMM, 2, 0, ACK, stamps_for(1))

    assert library.names == ["Irecv", "Irecv", "Waitall", "Send"]
    assert library.calls[0][1:7] == (RECEIVE, 8, TYPE, PEER, TAG, COMM)
    assert library.calls[3] == ("Send", ACK, 0, TYPE, PEER, TAG + 1, COMM)


def test_messages_of_a_window_lie_a_stride_apart_when_their_data_is_compared(library):
    _native.exchange(SEND, RECEIVE, 8, TYPE, PEER, TAG, COMM, 2, 24, stamps_for(1))

    assert [each[1] for each in library.calls[:4]] == [RECEIVE, RECEIVE + 24, SEND, SEND + 24]


def test_an_exchange_posts_its_receives_before_its_sends(library):
    stamps = stamps_for(2)

    _native.exchange(SEND, RECEIVE, 8, TYPE, PEER, TAG, COMM, 2, 0, stamps)

    assert library.names == (["Irecv"] * 2 + ["Isend"] * 2 + ["Waitall"]) * 2
    requests = [each[-1] for each in library.calls[:4]]
    assert np.diff(requests).tolist() == [library.request_bytes] * 3
    assert library.calls[4] == ("Waitall", 4, requests[0], IGNORE_ALL)
    assert_one_stamp_each(stamps)


COLLECTIVE_CALLS = {
    "allreduce": ("Allreduce", SEND, RECEIVE, 5, TYPE, OP, COMM),
    "allgather": ("Allgather", SEND, 5, TYPE, RECEIVE, 6, TYPE, COMM),
    "reducescatter": ("Reduce_scatter_block", SEND, RECEIVE, 6, TYPE, OP, COMM),
    "alltoall": ("Alltoall", SEND, 5, TYPE, RECEIVE, 6, TYPE, COMM),
    "broadcast": ("Bcast", RECEIVE, 6, TYPE, 2, COMM),
    "reduce": ("Reduce", SEND, RECEIVE, 5, TYPE, OP, 2, COMM),
    "barrier": ("Barrier", COMM),
}


@pytest.mark.parametrize("kind", COLLECTIVE_CALLS)
def test_a_collective_runs_back_to_back(library, kind):
    stamps = stamps_for(3)

    _native.collective(kind, SEND, RECEIVE, 5, 6, TYPE, OP, 2, COMM, 4, 1, stamps)

    assert library.calls == [COLLECTIVE_CALLS[kind]] * 3
    assert_one_stamp_each(stamps)


@pytest.mark.parametrize(("rank", "previous", "following"), [(0, 3, 1), (1, 0, 2), (3, 2, 0)])
def test_a_ring_step_receives_from_the_rank_before_and_sends_to_the_next(library, rank, previous, following):
    _native.collective("sendrecv", SEND, RECEIVE, 5, 5, TYPE, OP, 0, COMM, 4, rank, stamps_for(1))

    assert library.names == ["Irecv", "Isend", "Waitall"]
    assert library.calls[0][1:5] == (RECEIVE, 5, TYPE, previous)
    assert library.calls[1][1:5] == (SEND, 5, TYPE, following)
    assert library.calls[1][-1] - library.calls[0][-1] == library.request_bytes


def test_in_place_is_passed_through_as_it_is(library):
    _native.collective("allreduce", IN_PLACE, RECEIVE, 5, 5, TYPE, OP, 0, COMM, 4, 1, stamps_for(1))

    assert library.calls[0][1] == 2**64 - 1


def test_an_aligned_collective_has_a_barrier_before_each(library):
    entries, exits = stamps_for(2), stamps_for(2)

    _native.aligned_collective("allreduce", SEND, RECEIVE, 5, 5, TYPE, OP, 0, COMM, 4, 1, entries, exits)

    assert library.names == ["Barrier", "Allreduce"] * 3
    assert np.all(exits >= entries)
    assert np.all(np.diff(entries) >= 0)


def test_clock_pings_wait_for_the_answer_between_two_readings(library):
    triples = np.zeros((4, 3), dtype=np.int64)

    _native.clock_pings(False, PEER, TAG, COMM, BYTE, 4, triples)

    assert library.names == ["Send", "Recv"] * 4
    assert library.calls[0][2:] == (8, BYTE, PEER, TAG, COMM)
    assert np.all(triples[:, 2] >= triples[:, 0])
    assert np.all(triples[:, 1] == 0)  # nobody answered: the library is a fake


def test_the_clock_is_served_once_for_each_ping(library):
    triples = np.zeros((4, 3), dtype=np.int64)

    _native.clock_pings(True, PEER, TAG, COMM, BYTE, 4, triples)

    assert library.names == ["Recv", "Send"] * 4
    assert not triples.any()


@pytest.mark.parametrize(
    ("name", "seen", "run", "error"),
    [
        ("Send", 1, lambda s: _native.pingpong(True, 0, 0, 8, TYPE, PEER, TAG, COMM, s), ("MPI_Send", 6, 0)),
        ("Send", 4, lambda s: _native.pingpong(True, 0, 0, 8, TYPE, PEER, TAG, COMM, s), ("MPI_Send", 6, 2)),
        ("Recv", 10, lambda s: _native.pingpong(True, 0, 0, 8, TYPE, PEER, TAG, COMM, s), ("MPI_Recv", 6, 9)),
        ("Recv", 1, lambda s: _native.pingpong(False, 0, 0, 8, TYPE, PEER, TAG, COMM, s), ("MPI_Recv", 6, 0)),
        ("Isend", 4, lambda s: _native.stream(True, 0, 8, TYPE, PEER, TAG, COMM, 3, 0, 0, s), ("MPI_Isend", 6, 1)),
        ("Irecv", 1, lambda s: _native.exchange(0, 0, 8, TYPE, PEER, TAG, COMM, 3, 0, s), ("MPI_Irecv", 6, 0)),
        ("Waitall", 2, lambda s: _native.exchange(0, 0, 8, TYPE, PEER, TAG, COMM, 3, 0, s), ("MPI_Waitall", 6, 1)),
        (
            "Allreduce",
            5,
            lambda s: _native.collective("allreduce", 0, 0, 1, 1, TYPE, OP, 0, COMM, 4, 1, s),
            ("MPI_Allreduce", 6, 4),
        ),
    ],
)
def test_a_failing_call_ends_the_series_and_says_which_and_when(library, name, seen, run, error):
    library.fails_at = {name: {seen: 6}}

    with pytest.raises(_native.MpiError) as caught:
        run(stamps_for(9))

    assert caught.value.args == error
    assert library.names.count(name) == seen


def test_a_library_without_a_function_is_named():
    with pytest.raises(ValueError, match="MPI_Bcast has no address"):
        partial = Library(8)
        del partial.addresses["Bcast"]
        partial.bind()


@pytest.mark.parametrize("request_bytes", [0, 9])
def test_requests_of_an_impossible_size_are_refused(request_bytes):
    with pytest.raises(ValueError, match="1 to 8 bytes"):
        Library(request_bytes).bind()


def test_without_a_library_every_loop_says_what_to_call_first():
    program = "from netprobe import _native as n; n.collective('barrier', 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, bytearray(8))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "call mpi_bind first" in ended.stderr


@pytest.mark.parametrize(
    "unusable",
    [np.zeros(4, dtype=np.int32), np.zeros(4), np.zeros(0, dtype=np.int64), np.zeros(4, dtype=np.uint64)],
    ids=["narrow", "float", "empty", "unsigned"],
)
def test_stamps_must_be_int64(library, unusable):
    with pytest.raises(ValueError, match="stamps must be a non-empty array of int64"):
        _native.empty_series(unusable)


def test_stamps_must_be_writable_and_contiguous(library):
    frozen = stamps_for(3)
    frozen.flags.writeable = False

    with pytest.raises((BufferError, ValueError)):
        _native.empty_series(frozen)
    with pytest.raises((BufferError, ValueError)):
        _native.empty_series(stamps_for(8)[::2])


@pytest.mark.parametrize("window", [0, -1])
def test_an_empty_window_is_refused(library, window):
    with pytest.raises(ValueError, match="a window holds 1 to"):
        _native.exchange(0, 0, 8, TYPE, PEER, TAG, COMM, window, 0, stamps_for(1))


def test_an_unknown_collective_is_named(library):
    with pytest.raises(ValueError, match="no collective 'gossip'"):
        _native.collective("gossip", 0, 0, 0, 0, TYPE, OP, 0, COMM, 4, 1, stamps_for(1))


def test_entries_and_exits_must_be_as_many(library):
    with pytest.raises(ValueError, match="entries has 3 stamps and exits 4"):
        _native.aligned_collective("barrier", 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, stamps_for(2), stamps_for(3))


@pytest.mark.parametrize("count", [-1, 3, 5])
def test_pings_need_three_stamps_each(library, count):
    with pytest.raises(ValueError, match="3 stamps each"):
        _native.clock_pings(False, PEER, TAG, COMM, BYTE, count, np.zeros((4, 3), dtype=np.int64))


def test_an_empty_series_stamps_every_iteration():
    stamps = stamps_for(1000)

    _native.empty_series(stamps)

    assert_one_stamp_each(stamps)


def test_a_clock_read_costs_something():
    assert _native.clock_series(1000) > 0
    with pytest.raises(ValueError, match="at least one read"):
        _native.clock_series(0)
