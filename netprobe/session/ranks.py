"""Open a session on MPI ranks, and make sure that one failing rank ends them all instead of hanging the rest."""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from netprobe.contracts import Sink
from netprobe.environment import recorded_environment
from netprobe.errors import NetprobeError, TransportError
from netprobe.interrupts import interrupts, mortal
from netprobe.model.record import Record
from netprobe.model.verdict import ExitCode
from netprobe.session.calibration import calibrate
from netprobe.session.control import MpiControl
from netprobe.session.watch import WatchedWhereabouts, watched
from netprobe.session.worker import Session
from netprobe.store.whereabouts import SharedWhereabouts
from netprobe.transports.mpi import MpiTransport, open_mpi
from netprobe.units import NS_PER_S

Salvage = Callable[[NetprobeError | None], int | None]
"""Makes what it can of a job that is about to be ended, by an error or (None) by an interrupt.

Returns the exit code for it, None when nothing could be made.
"""

SALVAGE_S: Final = 3.0  # judging and printing take below one
ORPHAN_NS: Final = 200 * NS_PER_S  # under a supervisor, which asks far sooner; unless it is gone, or the network to it


def _nothing_to_salvage(_error: NetprobeError | None) -> None:
    """Leave it to whoever started the ranks."""


@contextmanager
def open_session(make_sink: Callable[[], Sink], salvage: Salvage | None = None) -> Iterator[Session]:
    """Yield this rank's session; all ranks call. ``make_sink`` is called on rank 0 only.

    An exception inside ends the whole job: the other ranks wait in MPI calls that would never return. ``salvage`` is
    called before, on the rank that failed. Without it somebody supervises the ranks; with it they watch themselves:
    a signal, or a wait without end, salvages on rank 0 and ends every rank.
    """
    whereabouts = WatchedWhereabouts(SharedWhereabouts(socket.gethostname()), *(() if salvage else (ORPHAN_NS,)))
    with ExitStack() as stack:
        with mortal():  # mpi4py lets no thread run while MPI starts, which may wait for a rank that never comes
            mpi = open_mpi()
        signals = stack.enter_context(interrupts()) if salvage else None
        guard = _Guard()
        end = _End(guard, salvage or _nothing_to_salvage)
        stack.enter_context(watched(whereabouts, signals, end.of_interrupt, end.of_hang))
        world = mpi.COMM_WORLD
        control = MpiControl(mpi, world.Dup(), whereabouts.step)
        if control.rank == 0:
            guard.open(make_sink)
        try:
            yield Session(
                transport=MpiTransport(mpi, world.Dup(), whereabouts.step),
                control=control,
                sink=None if guard.sink is None else guard,
                calibration=calibrate(),
                environment=recorded_environment(os.environ),
                whereabouts=whereabouts,
            )
        except NetprobeError as error:
            code = (salvage or _nothing_to_salvage)(error)
            if code is None and control.size == 1:
                raise
            if code is None:
                # In one write: the launcher mixes what ranks say at the same time.
                sys.stderr.write(f"netprobe: rank {control.rank}: {error}\n")
                sys.stderr.flush()
            world.Abort(int(error.exit_code if code is None else code))
        except Exception:
            if control.size > 1:
                sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
                world.Abort(3)
            raise


class _Guard:
    """A Sink that somebody else may close for good between two records, or before the first."""

    def __init__(self) -> None:
        self.sink: Sink | None = None
        self.lock = threading.Lock()

    def open(self, make_sink: Callable[[], Sink]) -> None:
        """Make the sink."""
        with self.lock:
            self.sink = make_sink()

    def emit(self, record: Record) -> None:
        """Hand on."""
        if self.sink is not None:
            with self.lock:
                self.sink.emit(record)


class _End:
    """How the watching thread ends this process: rank 0 salvages, the others give it the time for that."""

    def __init__(self, guard: _Guard, salvage: Salvage) -> None:
        self._guard = guard
        self._salvage = salvage

    def of_interrupt(self) -> None:
        """Keep what there is, and leave."""
        self._leave(None, int(ExitCode.INTERRUPTED))

    def of_hang(self, where: str) -> None:
        """Say where this rank hangs, keep what there is, and leave."""
        print(f"netprobe: nothing moved for too long on {where}", file=sys.stderr, flush=True)
        self._leave(TransportError(f"the ranks hung: nothing moved for too long on {where}"), 3)

    def _leave(self, error: NetprobeError | None, code: int) -> None:
        self._guard.lock.acquire(timeout=SALVAGE_S)  # for good: the main thread tells nothing more
        salvaged = self._salvage(error)
        if salvaged is None:
            time.sleep(SALVAGE_S)
        sys.stdout.flush()
        # Not sys.exit: the main thread may never come back from MPI.
        os._exit(code if salvaged is None else salvaged)
