"""``netprobe check`` and ``netprobe run``: plan, launch, measure, judge, print, exit code.

Two ways to the same run directory: this process starts the ranks and writes what rank 0 tells it, or it is itself a rank
(under mpirun or srun), and then rank 0 writes, judges and prints.
"""

import os
from dataclasses import replace

from netprobe.cli.options import Judging, Keeping, Where
from netprobe.judge.limits import load_limits
from netprobe.launch.surroundings import detect
from netprobe.model.plan import Plan
from netprobe.registry import pick, reporters


def measure(plan: Plan, ranks: int | None, where: Where, keeping: Keeping, judging: Judging) -> int:
    """Run a plan where it was asked to run and return the verdict's exit code."""
    pick("format", reporters(), judging.format)  # a mistyped format must not cost a measurement
    if judging.limits is not None:
        load_limits(judging.limits)
    if keeping.seed is not None:
        plan = replace(plan, seed=keeping.seed)
    surroundings = detect(os.environ)
    if surroundings.is_rank:
        return _measure_as_rank(plan, surroundings, keeping, judging)
    return _measure_by_launching(plan, ranks, where, keeping, judging)
