"""Many flows in one call, over a library of fakes: receivers stop their flows in band, and nothing is left over."""

import ctypes
from ctypes import CFUNCTYPE, c_int, c_int64, c_void_p

import numpy as np
import pytest
from test_kernels_series import BYTE, COMM, HELD, IGNORE, IGNORE_ALL, SIGNATURES, TAG, TYPE

from netprobe import _native

GO, STOP = 1, 2
SEND, RECEIVE, STRIDE = 0x1000, 0x2000, 64
OPEN_ENDED_NS = 10**12


class Fabric:
    """An MPI in which all requests are complete when they are asked for, ``late`` times later than that."""

    def __init__(self, request_bytes, *, answers=(), late=0, fails=None):
        self.calls = []
        self.answers = list(answers)
        self.late = late
        self.fails = fails
        own = {"Isend": self.isend, "Irecv": self.irecv, "Testall": self.testall}
        self._functions = {
            name: CFUNCTYPE(c_int, *types)(own.get(name, lambda *_: 0)) for name, types in SIGNATURES.items()
        }
        _native.mpi_bind(
            {name: ctypes.cast(each, c_void_p).value for name, each in self._functions.items()},
            request_bytes=request_bytes, status_ignore=IGNORE, statuses_ignore=IGNORE_ALL,
        )  # fmt: skip
        HELD.append(self)

    def isend(self, address, count, _type, peer, tag, _comm, _request):
        word = c_int64.from_address(address).value if tag == TAG + 1 else None
        self.calls.append(("Isend", peer, tag - TAG, word, count))
        return 6 if self.fails == "Isend" else 0

    def irecv(self, address, count, _type, peer, tag, _comm, _request):
        if tag == TAG + 1:
            c_int64.from_address(address).value = self.answers.pop(0)
        self.calls.append(("Irecv", peer, tag - TAG, address if tag == TAG else None, count))
        return 0

    def testall(self, count, _requests, flag, _statuses):
        self.late -= 1
        c_int.from_address(flag).value = self.late < 0
        self.calls.append(("Testall", count))
        return 6 if self.fails == "Testall" else 0


@pytest.fixture(params=[4, 8], ids=["int-requests", "pointer-requests"])
def width(request):
    return request.param


def run(sends_to, receives_from, *, window=3, duration_ns=0, most=8):
    stamps = np.full((max(len(receives_from), 1), most), -1, dtype=np.int64)
    counts = np.zeros(max(len(receives_from), 1), dtype=np.int64)
    _native.flows(
        len(sends_to), len(receives_from), np.array([*sends_to, *receives_from], dtype=np.int64), SEND, RECEIVE,
        STRIDE, 32, TYPE, BYTE, TAG, COMM, window, duration_ns, most, stamps, counts,
    )  # fmt: skip
    return stamps, counts


def test_a_receiver_past_its_deadline_stops_every_sender_after_one_window(width):
    fabric = Fabric(width)

    stamps, counts = run([], [4, 5])

    answers = [call for call in fabric.calls if call[0] == "Isend"]
    assert answers == [("Isend", 4, 1, STOP, 8), ("Isend", 5, 1, STOP, 8)]
    assert counts.tolist() == [2, 2]
    assert (np.diff(stamps[:, :2]) >= 0).all()


def test_each_flow_in_has_memory_of_its_own(width):
    fabric = Fabric(width)

    run([], [4, 5], window=2)

    received = [call for call in fabric.calls if call[0] == "Irecv"]
    assert received == [("Irecv", 4, 0, RECEIVE, 32)] * 2 + [("Irecv", 5, 0, RECEIVE + STRIDE, 32)] * 2


def test_the_next_window_is_awaited_before_it_is_asked_for(width):
    fabric = Fabric(width)

    _, counts = run([], [4], window=2, duration_ns=OPEN_ENDED_NS, most=3)

    names = [call[0] if call[0] != "Isend" else call[3] for call in fabric.calls]
    assert names == ["Irecv", "Irecv", "Testall", "Irecv", "Irecv", GO, "Testall", STOP, "Testall"]
    assert [call[1] for call in fabric.calls if call[0] == "Testall"] == [2, 3, 1]
    assert counts.tolist() == [3]


def test_a_sender_goes_on_as_long_as_it_is_asked_to(width):
    fabric = Fabric(width, answers=[GO, GO, STOP])

    run([7], [])

    assert sum(call[0] == "Isend" for call in fabric.calls) == 3 * 3
    assert [call for call in fabric.calls if call[0] == "Irecv"] == [("Irecv", 7, 1, None, 8)] * 3


def test_what_is_not_complete_is_asked_for_again(width):
    fabric = Fabric(width, answers=[STOP], late=5)

    run([7], [])

    assert sum(call[0] == "Testall" for call in fabric.calls) == 6


@pytest.mark.parametrize("name", ["Isend", "Testall"])
def test_a_failing_call_is_named(width, name):
    Fabric(width, answers=[GO], fails=name)

    with pytest.raises(_native.MpiError) as caught:
        run([7], [])

    assert caught.value.args[:2] == (f"MPI_{name}", 6)


@pytest.mark.parametrize(
    ("ends", "traits", "wrong"),
    [
        (([], []), {}, "peers must be a non-empty array"),
        (([1], []), {"window": 0}, "at least one message"),
        (([], [1]), {"most": 1}, "two or more stamps"),
    ],
)
def test_calls_that_make_no_sense_are_refused(width, ends, traits, wrong):
    Fabric(width)

    with pytest.raises(ValueError, match=wrong):
        run(*ends, **traits)
