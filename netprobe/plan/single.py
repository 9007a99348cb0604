"""A plan of one probe, from what ``netprobe run`` was given."""

from dataclasses import dataclass
from typing import Final

from netprobe.errors import PlanError
from netprobe.model.collective import SHAPES
from netprobe.model.plan import DTYPES, OPS, Pairing, Plan, Stage
from netprobe.plan.profiles import DEFAULT_SEED
from netprobe.plan.sizes import sweep
from netprobe.registry import pick, probes, suggestion

NCCL_DTYPES: Final = {"float": "float32", "double": "float64", "half": "float16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleProbe:
    """The options of ``run``, converted."""

    probe: str
    begin_bytes: int
    end_bytes: int
    factor: float | None
    step_bytes: int | None
    iterations: int | None
    warmup_iterations: int
    check_iterations: int
    dtype: str
    op: str
    root: int
    window: int
    all_pairs: bool
    series_budget_ns: int


def plan_for_probe(single: SingleProbe) -> Plan:
    """Return the plan; raise PlanError for an unknown probe, type or operator, and for a sweep without sizes."""
    probe = pick("probe", probes(), single.probe)
    shape = SHAPES.get(single.probe)
    dtype = _known("datatype", NCCL_DTYPES.get(single.dtype, single.dtype), DTYPES)
    op = _known("operator", single.op, OPS)
    sizes = sweep(single.begin_bytes, single.end_bytes, factor=single.factor, step_bytes=single.step_bytes)
    stages = tuple(
        Stage(
            id=f"{single.probe}-{scope.value}" if shape is None else single.probe,
            probe=single.probe,
            scope=scope,
            sizes_bytes=sizes,
            pairing=Pairing.ALL_PAIRS if single.all_pairs else Pairing.SCREENING,
            series_budget_ns=single.series_budget_ns,
            iterations=single.iterations,
            warmup_iterations=single.warmup_iterations,
            check_iterations=single.check_iterations,
            window=single.window,
            dtype="uint8" if shape is None else dtype,
            op=op,
            root=single.root,
            in_place=(False, True) if shape is not None and shape.has_in_place else (False,),
        )
        for scope in probe.scopes
    )
    return Plan(profile=f"run {single.probe}", seed=DEFAULT_SEED, stages=stages)


def _known(kind: str, name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise PlanError(f"there is no {kind} called {name!r}", remedy=suggestion(name, known))
    return name
