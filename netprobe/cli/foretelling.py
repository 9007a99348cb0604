"""What a plan will be able to tell, said on standard error before it starts."""

from collections.abc import Iterator
from typing import Final

from netprobe.model.record import RanksReady
from netprobe.plan.budget import expected_ns
from netprobe.plan.rounds import Drawing
from netprobe.plan.sensitivity import planned_sensitivity
from netprobe.registry import pick, probes
from netprobe.reporters._wording import left_out, sensitive_to
from netprobe.units import format_duration

WHOLE: Final = ("nothing dropped to fit the budget",)


def foretold(met: RanksReady) -> Iterator[str]:
    """Yield a line on what the plan of ranks that met can tell; nothing where no hosts meet and no budget was asked."""
    told = planned_sensitivity(met.plan, met.ranks, met.endpoints)
    if told is None and met.plan.budget_ns is None:
        return
    parts = () if told is None else sensitive_to(told, "a NIC's (at line rate)")
    drawing = Drawing(met.ranks, met.plan.seed)
    needed_ns = expected_ns(met.plan, lambda stage: drawing.count(stage, pick("probe", probes(), stage.probe)))
    kept = WHOLE if met.plan.budget_ns is not None and not met.plan.dropped else left_out(met.plan.dropped)
    yield "; ".join((f"plan of about {format_duration(needed_ns)}", *parts, *kept))
