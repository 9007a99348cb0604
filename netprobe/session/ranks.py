"""Open a session on MPI ranks, and make sure that one failing rank ends them all instead of hanging the rest."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from netprobe.contracts import Sink
from netprobe.environment import recorded_environment
from netprobe.errors import NetprobeError
from netprobe.model.verdict import ExitCode
from netprobe.session.calibration import calibrate
from netprobe.session.control import MpiControl
from netprobe.session.worker import Session
from netprobe.store.whereabouts import SharedWhereabouts
from netprobe.transports.mpi import MpiTransport, open_mpi

Salvage = Callable[[NetprobeError | None], int | None]
"""Makes what it can of a job that is about to be ended, by an error or (None) by an interrupt.

Returns the exit code for it, None when nothing could be made.
"""

SALVAGE_S: Final = 3.0  # judging and printing take below one


def _nothing_to_salvage(_error: NetprobeError | None) -> None:
    """Leave it to whoever started the ranks."""


@contextmanager
def open_session(make_sink: Callable[[], Sink], salvage: Salvage = _nothing_to_salvage) -> Iterator[Session]:
    """Yield this rank's session; all ranks call. ``make_sink`` is called on rank 0 only.

    An exception inside ends the whole job: the other ranks wait in MPI calls that would never return. ``salvage`` is
    called before, on the rank that failed.
    """
    whereabouts = SharedWhereabouts(socket.gethostname())
    mpi = open_mpi()
    world = mpi.COMM_WORLD
    control = MpiControl(mpi, world.Dup(), whereabouts.step)
    try:
        yield Session(
            transport=MpiTransport(mpi, world.Dup(), whereabouts.step),
            control=control,
            sink=make_sink() if control.rank == 0 else None,
            calibration=calibrate(),
            environment=recorded_environment(os.environ),
            whereabouts=whereabouts,
        )
    except KeyboardInterrupt:
        # All ranks are interrupted at once; rank 0 finishes what it has kept, as far as the launcher lets it.
        if salvage(None) is None:
            time.sleep(SALVAGE_S)
        world.Abort(int(ExitCode.INTERRUPTED))
    except NetprobeError as error:
        code = salvage(error)
        if code is None and control.size == 1:
            raise
        if code is None:
            print(f"netprobe: rank {control.rank}: {error}", file=sys.stderr, flush=True)
        world.Abort(int(error.exit_code if code is None else code))
    except Exception:
        if control.size > 1:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
            world.Abort(3)
        raise
