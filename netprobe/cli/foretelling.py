"""What a plan will be able to tell, said on standard error before it starts."""

from typing import Final

from netprobe.cli.streams import tell
from netprobe.contracts import Sink
from netprobe.model.record import RanksReady, Record
from netprobe.plan.budget import expected_ns
from netprobe.plan.rounds import Drawing
from netprobe.plan.sensitivity import planned_sensitivity
from netprobe.registry import pick, probes
from netprobe.reporters._wording import left_out, sensitive_to
from netprobe.units import format_duration

WHOLE: Final = ("nothing dropped to fit the budget",)


class ForetellingSink:
    """A Sink that tells of the plan when ranks first meet, and hands every record on."""

    def __init__(self, onward: Sink) -> None:
        self._onward = onward
        self._has_told = False

    def emit(self, record: Record) -> None:
        """Hand on first: the line may find no reader."""
        self._onward.emit(record)
        if isinstance(record, RanksReady) and not self._has_told:
            self._has_told = True
            line = foretold(record)
            if line is not None:
                tell(f"netprobe: {line}")


def foretold(met: RanksReady) -> str | None:
    """Return what the plan of ranks that met can tell, in a line; None where no hosts meet and no budget was asked."""
    told = planned_sensitivity(met.plan, met.ranks, met.endpoints)
    if told is None and met.plan.budget_ns is None:
        return None
    parts = () if told is None else sensitive_to(told, "a NIC's (at line rate)")
    drawing = Drawing(met.ranks, met.plan.seed)
    needed_ns = expected_ns(met.plan, lambda stage: drawing.count(stage, pick("probe", probes(), stage.probe)))
    kept = WHOLE if met.plan.budget_ns is not None and not met.plan.dropped else left_out(met.plan.dropped)
    return "; ".join((f"plan of about {format_duration(needed_ns)}", *parts, *kept))
