"""Run a plan with threads as ranks: the same worker as on MPI, in one process."""

import threading
from collections.abc import Callable

from netprobe.contracts import Control, Sink
from netprobe.errors import TransportError
from netprobe.model.endpoint import Calibration
from netprobe.model.plan import Plan
from netprobe.plan.task import Task
from netprobe.session.calibration import calibrate
from netprobe.session.worker import Session
from netprobe.transports.loopback import LoopbackControl, LoopbackTransport, LoopbackWorld, Wire, clean_wire

HostNames = Callable[[int], str]


def run_on_threads(
    plan: Plan,
    ranks: int,
    sink: Sink,
    *,
    wire: Wire = clean_wire,
    host_of: HostNames | None = None,
    calibration: Calibration | None = None,
) -> None:
    """Measure a plan on so many threads; ``host_of`` gives ranks made-up hosts. Raise what the first rank raised."""
    world = LoopbackWorld(ranks, wire=wire)
    cost = calibrate() if calibration is None else calibration
    errors: list[BaseException] = []

    def rank_main(rank: int) -> None:
        control: Control = LoopbackControl(world, rank)
        session = Session(
            transport=LoopbackTransport(world, rank),
            control=control,
            sink=sink if rank == 0 else None,
            calibration=cost,
            environment=(),
            host=None if host_of is None else host_of(rank),
        )
        try:
            session.run(Task(plan=plan))
        except BaseException as error:
            errors.append(error)
            world.fail()

    threads = [threading.Thread(target=rank_main, args=(rank,), name=f"rank {rank}") for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        causes = [error for error in errors if not isinstance(error, TransportError)]
        raise (causes or errors)[0]
