"""A rank for the launch tests: says hello on rank 0 as netprobe's ranks do, then does what its argument says."""

import os
import sys
import time

from mpi4py import MPI

from netprobe.model.endpoint import Calibration, Clock, Rank
from netprobe.model.plan import Plan
from netprobe.model.record import RanksDone, RanksReady, RoundStarted
from netprobe.store.wire import LineSink

world = MPI.COMM_WORLD
cpus = tuple(sorted(os.sched_getaffinity(0)))
own = Rank(rank=world.rank, host="here", local_index=world.rank, cpus=cpus, pid=os.getpid())
ranks = world.gather(own)
sink = LineSink(sys.stdout)
if world.rank == 0:
    sink.emit(
        RanksReady(
            ranks=tuple(ranks),
            plan=Plan(profile="test", seed=0, stages=()),
            mpi=MPI.Get_library_version().splitlines()[0],
            calibration=Calibration(clock_read_ns=1.0, empty_iteration_ns=1.0),
            environment=tuple(sorted((name, os.environ[name]) for name in sys.argv[2:] if name in os.environ)),
            not_tested=(),
        )
    )
    sink.emit(RoundStarted(stage="s", stage_index=0, stages=1, round_index=0, rounds=1, expected_ns=1))
if sys.argv[1] == "hang":
    time.sleep(600)
if sys.argv[1] == "die":
    world.Barrier()
    if world.rank == world.size - 1:
        time.sleep(0.5)  # Hydra drops what is still on its way from rank 0 when it ends a job
        os._exit(7)
world.Barrier()
if world.rank == 0:
    clock = Clock(offset_ns=0, drift_ratio=0.0, at_ns=0, error_bound_ns=0.0)
    sink.emit(RanksDone(ranks=(0,), clocks=(clock,), error=None))
