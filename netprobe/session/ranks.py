"""Open a session on MPI ranks, and make sure that one failing rank ends them all instead of hanging the rest."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from netprobe.contracts import Sink
from netprobe.environment import recorded_environment
from netprobe.errors import NetprobeError
from netprobe.session.calibration import calibrate
from netprobe.session.control import MpiControl
from netprobe.session.worker import Session
from netprobe.transports.mpi import MpiTransport, open_mpi


@contextmanager
def open_session(make_sink: Callable[[], Sink]) -> Iterator[Session]:
    """Yield this rank's session; all ranks call. ``make_sink`` is called on rank 0 only.

    An exception inside ends the whole job: the other ranks wait in MPI calls that would never return.
    """
    mpi = open_mpi()
    world = mpi.COMM_WORLD
    control = MpiControl(mpi, world.Dup())
    try:
        yield Session(
            transport=MpiTransport(mpi, world.Dup()),
            control=control,
            sink=make_sink() if control.rank == 0 else None,
            calibration=calibrate(),
            environment=recorded_environment(os.environ),
        )
    except NetprobeError as error:
        if control.size == 1:
            raise
        print(f"netprobe: rank {control.rank}: {error}", file=sys.stderr, flush=True)
        world.Abort(int(error.exit_code))
    except Exception:
        if control.size > 1:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
            world.Abort(3)
        raise
