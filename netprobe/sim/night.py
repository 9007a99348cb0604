"""One run of a simulated fabric, from its faults to what it leaves behind."""

from collections.abc import Sequence

import numpy as np

from netprobe.model.plan import Plan
from netprobe.sim.condition import healthy
from netprobe.sim.fabric import Fabric
from netprobe.sim.faults import FaultFile, Injected, inject
from netprobe.sim.play import play
from netprobe.store.reader import Run


def night(fabric: Fabric, files: Sequence[FaultFile], plan: Plan, seed: int) -> tuple[Run, tuple[Injected, ...]]:
    """Return the run of a fabric with these faults, and the truth about them; the fabric belongs to this run."""
    condition = healthy(fabric, np.random.default_rng([seed, 0]))
    injected = inject(files, fabric, condition, seed)
    return play(fabric, condition, plan, seed), injected
