"""How long a rank may wait before it counts as hanging, and who is told of what."""

import socket
import threading

from netprobe.session.watch import FLOOR_NS, MEETING_NS, WatchedWhereabouts, watched
from netprobe.store.whereabouts import Unwatched
from netprobe.units import NS_PER_MS


class Told:
    """What was called from the watching thread."""

    def __init__(self):
        self.interrupts = 0
        self.hung = []
        self.is_called = threading.Event()

    def of_interrupt(self):
        self.interrupts += 1
        self.is_called.set()

    def of_hang(self, where):
        self.hung.append(where)
        self.is_called.set()


def test_ranks_may_take_longer_to_meet_than_between_two_calls():
    whereabouts = WatchedWhereabouts(Unwatched())
    before_ns = whereabouts.left_ns()

    whereabouts.known_as(3, "h1")

    assert FLOOR_NS < before_ns <= MEETING_NS
    assert whereabouts.left_ns() <= FLOOR_NS


def test_a_signal_before_the_ranks_have_met_is_heeded():
    told = Told()
    signals, sender = socket.socketpair()

    with signals, sender, watched(WatchedWhereabouts(Unwatched()), signals, told.of_interrupt, told.of_hang):
        sender.send(b"\2")
        assert told.is_called.wait(60)

    assert (told.interrupts, told.hung) == (1, [])


def test_a_rank_that_moves_no_more_is_said_to_hang_with_where_it_is():
    told = Told()
    whereabouts = WatchedWhereabouts(Unwatched(), floor_ns=50 * NS_PER_MS)
    whereabouts.known_as(3, "h1")
    whereabouts.measures("latency", 1, 5)

    with watched(whereabouts, None, told.of_interrupt, told.of_hang):
        assert told.is_called.wait(60)

    assert told.hung == ["rank 3 in latency, round 2, with rank 5"]


def test_what_comes_when_all_is_over_is_nobodys_business():
    told = Told()
    whereabouts = WatchedWhereabouts(Unwatched(), floor_ns=1)
    signals, sender = socket.socketpair()

    with signals, sender:
        with watched(whereabouts, signals, told.of_interrupt, told.of_hang):
            pass
        sender.send(b"\2")
        (thread,) = [each for each in threading.enumerate() if each.name == "watch"] or [None]
        if thread is not None:
            thread.join(timeout=60)

    assert (told.interrupts, told.hung) == (0, [])
