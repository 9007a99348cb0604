"""Watches a rank from a thread of its own: notices signals and endless waits while the rank is inside MPI.

Python handles signals between its own instructions, and a rank that waits in MPI executes none. The thread sleeps in
the kernel until a signal or the deadline wakes it, so it takes no time from what is measured.
"""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from netprobe.contracts import Whereabouts
from netprobe.units import NS_PER_S

FLOOR_NS: Final = 60 * NS_PER_S  # without any call to MPI; somebody else's pair may be slow meanwhile
MEETING_NS: Final = 600 * NS_PER_S  # until all have met: MPI takes minutes to start the largest jobs
FACTOR: Final = 10  # times the expected duration of a round

OnInterrupt = Callable[[], None]
OnHang = Callable[[str], None]
"""Called with where the rank was, in words."""


class WatchedWhereabouts:
    """contracts.Whereabouts that hands on to another, and remembers when the last note came."""

    def __init__(self, onward: Whereabouts, floor_ns: int = FLOOR_NS) -> None:
        self._onward = onward
        self._floor_ns = floor_ns
        self._allowed_ns = max(floor_ns, MEETING_NS)
        self._last_ns = time.monotonic_ns()
        self._rank: int | None = None
        self._place = "before the first round"
        self.is_over = False
        """Set when the session has ended: what happens to the process then is no concern of a watch."""

    def left_ns(self) -> int:
        """Return the time until the rank counts as hanging."""
        return self._last_ns + self._allowed_ns - time.monotonic_ns()

    def words(self) -> str:
        """Return where the rank is: ``rank 3 in latency-between-hosts, round 2, with rank 5``."""
        return f"{'a rank' if self._rank is None else f'rank {self._rank}'} {self._place}"

    def known_as(self, rank: int, host: str) -> None:
        """See contracts.Whereabouts."""
        self._rank = rank
        self._allowed_ns = self._floor_ns
        self._onward.known_as(rank, host)

    def meets(self) -> None:
        """See contracts.Whereabouts."""
        self._onward.meets()

    def waits(self, stage: str, round_index: int, expected_ns: int) -> None:
        """See contracts.Whereabouts."""
        self._allowed_ns = max(self._floor_ns, FACTOR * expected_ns)
        self._note(f"waiting for others in {stage}, round {round_index + 1}")
        self._onward.waits(stage, round_index, expected_ns)

    def measures(self, stage: str, round_index: int, peer: int | None) -> None:
        """See contracts.Whereabouts."""
        whom = "all ranks" if peer is None else f"rank {peer}"
        self._note(f"in {stage}, round {round_index + 1}, with {whom}")
        self._onward.measures(stage, round_index, peer)

    def step(self) -> None:
        """See contracts.Whereabouts."""
        self._last_ns = time.monotonic_ns()
        self._onward.step()

    def _note(self, place: str) -> None:
        self._place = place
        self._last_ns = time.monotonic_ns()


@contextmanager
def watched(
    whereabouts: WatchedWhereabouts, signals: socket.socket | None, on_interrupt: OnInterrupt, on_hang: OnHang
) -> Iterator[None]:
    """Call, once and from another thread, what fits: a signal came in the block, or nothing moved in it for too long.

    ``signals`` yields a byte for each signal (netprobe.interrupts); None: signals are not watched.
    """

    def watch() -> None:
        while not whereabouts.is_over and (left_ns := whereabouts.left_ns()) > 0:
            try:
                ready = select.select([] if signals is None else [signals], [], [], left_ns / NS_PER_S)[0]
                came = bool(ready) and signals is not None and bool(signals.recv(1))
            except (OSError, ValueError):  # closed: signals are nobody's business any more
                return
            if ready:
                if came and not whereabouts.is_over:
                    on_interrupt()
                return
        if not whereabouts.is_over:
            on_hang(whereabouts.words())

    threading.Thread(target=watch, name="watch", daemon=True).start()
    try:
        yield
    finally:
        whereabouts.is_over = True
