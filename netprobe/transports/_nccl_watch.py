"""A thread that ends a communicator whose peer is gone: a hang becomes an error with NCCL's own words."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from netprobe.transports._nccl_engine import Broken, Communicator

POLL_S: Final = 0.1
PATIENCE_S: Final = 60.0  # of one batch of a series, which moves 4 GiB at most: TCP of 1 Gb/s needs 35 s


class Watch:
    """Looks after one communicator while it is used."""

    def __init__(
        self,
        communicator: Communicator,
        *,
        patience_s: float = PATIENCE_S,
        poll_s: float = POLL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._communicator = communicator
        self._patience_s = patience_s
        self._poll_s = poll_s
        self._clock = clock
        self._moved_at = 0.0
        self._lock = threading.Lock()
        self.verdict: str | None = None
        """Why the communicator was aborted; it is of no use any more. None while it is well."""

    def moved(self) -> None:
        """Note that something was finished: the patience begins anew."""
        self._moved_at = self._clock()

    def end(self, reason: str) -> None:
        """Abort the communicator, once; the first reason stays."""
        with self._lock:
            if self.verdict is not None:
                return
            self.verdict = reason
        with suppress(Broken):
            self._communicator.abort()

    @contextmanager
    def over(self) -> Iterator[None]:
        """Watch as long as the block runs."""
        self.moved()
        ended = threading.Event()
        thread = threading.Thread(target=self._look, args=(ended,), name="netprobe nccl watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _look(self, ended: threading.Event) -> None:
        while not ended.wait(self._poll_s):
            reason = self._trouble()
            if reason is not None:
                self.end(reason)
                return

    def _trouble(self) -> str | None:
        try:
            error = self._communicator.async_error()
        except Broken as broken:
            return str(broken)
        if error is not None:
            return error
        waited_s = self._clock() - self._moved_at
        return f"nothing moved for {waited_s:.0f} s" if waited_s > self._patience_s else None
