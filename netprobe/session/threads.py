"""Run a plan with threads as ranks: the same worker as on MPI, in one process."""

import threading
from collections.abc import Callable
from pathlib import Path

from netprobe.contracts import Control, CpuMeter, Sink, System
from netprobe.errors import TransportError
from netprobe.model.endpoint import Calibration
from netprobe.plan.task import Task
from netprobe.session.calibration import calibrate
from netprobe.session.devices import DeviceEdges
from netprobe.session.gpu import GpuEdge
from netprobe.session.worker import Session
from netprobe.system.here import recorded_system
from netprobe.transports._nccl_engine import OpenLibrary, open_library
from netprobe.transports._verbs_engine import OpenDevice
from netprobe.transports.loopback import LoopbackControl, LoopbackTransport, LoopbackWorld, Wire, clean_wire
from netprobe.transports.verbs import open_device


def _no_pause(_seconds: float) -> None:
    """Go on at once."""


HostNames = Callable[[int], str]


def run_on_threads(  # noqa: PLR0913 - what to do, and the world that tests replace
    task: Task,
    ranks: int,
    sink: Sink,
    *,
    wire: Wire = clean_wire,
    host_of: HostNames | None = None,
    calibration: Calibration | None = None,
    system: System | None = None,
    opens: OpenDevice = open_device,
    gpu_edge: GpuEdge | None = None,
    opens_nccl: OpenLibrary = open_library,
    meter: CpuMeter | None = None,
) -> None:
    """Do a task on so many threads; ``host_of`` gives ranks made-up hosts. Raise what the first rank raised.

    Nothing is sent over NICs, so neither their idle times nor their counters are waited for; ``system`` is what counts,
    files alone if None; ``opens`` opens its RDMA devices, ``gpu_edge`` its GPUs, ``opens_nccl`` NCCL; ``meter`` stands
    for the CPU of each.
    """
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
            system=system or recorded_system(Path("/")),
            pause=_no_pause,
            edges=DeviceEdges(rdma=opens, gpu=gpu_edge or GpuEdge(), nccl=opens_nccl),
            meter=meter,
        )
        try:
            session.run(task)
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
