"""How long a plan takes on the ranks that came, and how to make it fit a budget."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from netprobe.model.collective import SHAPES
from netprobe.model.plan import LOADS, Pairing, Path, Plan, Scope, Stage
from netprobe.stats.steps import round_ns
from netprobe.units import NS_PER_MS, NS_PER_S, format_duration

RoundCount = Callable[[Stage], int]

WARMUP_AND_CHECK_RATIO: Final = 0.25  # a tenth for warm-up; the rest is data check and agreement, measured on 2 ranks
GROUP_PHASES_RATIO: Final = 1.6  # a collective has the arrival phase as well, with a barrier before each call
PIPELINED_RATIO: Final = 0.5  # over NCCL half of the iterations run again, with nothing between them
LOAD_RATIO: Final = 1.5  # flows of a load settle before they are measured and go on for as long behind: a quarter each
OVERHEAD_NS: Final = 2 * NS_PER_MS  # gathering, a barrier and the first touch of buffers, for each round and size
START_NS: Final = 2 * NS_PER_S  # interpreters, MPI_Init and writing the run directory
SHORTEST_BURSTS_NS: Final = 3 * NS_PER_S  # fewer seconds are no series of them
ROUND_OVERHEAD_NS: Final = 30 * NS_PER_MS  # of bursts: counters that settle, and agreement
SHORTEST_SERIES_NS: Final = 2 * NS_PER_MS  # below this the tail of a series is nothing but warm-up and noise


def series_count(stage: Stage) -> int:
    """Return the series that one round of a stage measures one after the other."""
    shape = SHAPES.get(stage.probe)
    variants = len(stage.in_place) if shape is not None and shape.has_in_place else 1
    return len(stage.sizes_bytes) * variants


def expected_round_ns(stage: Stage) -> int:
    """Return how long one round of a stage should take."""
    if stage.bursts is not None:
        return round_ns(stage.bursts) + ROUND_OVERHEAD_NS
    phases = GROUP_PHASES_RATIO if stage.probe in SHAPES else LOAD_RATIO if stage.probe in LOADS else 1.0
    if stage.path is Path.NCCL and stage.probe != "latency":
        phases += PIPELINED_RATIO
    each = stage.series_budget_ns * (phases + WARMUP_AND_CHECK_RATIO) + OVERHEAD_NS
    return round(series_count(stage) * each)


def expected_ns(plan: Plan, round_count: RoundCount) -> int:
    """Return how long a plan should take from Enter to verdict."""
    return START_NS + sum(round_count(stage) * expected_round_ns(stage) for stage in plan.stages)


def fitted(plan: Plan, round_count: RoundCount) -> Plan:
    """Return the plan shortened to its budget: first shorter series, then fewer partners; unchanged without a budget.

    What cannot be shortened further is kept: a plan that tests less than was asked for must be asked for. What was
    dropped is told in the plan.
    """
    if plan.budget_ns is None:
        return plan
    budget_ns = plan.budget_ns
    whole = plan
    plan = _with_shorter_series(plan, budget_ns, round_count)
    while expected_ns(plan, round_count) > budget_ns and any(_can_drop(stage) for stage in plan.stages):
        plan = replace(plan, stages=tuple(_with_fewer_partners(stage) for stage in plan.stages))
    return replace(plan, dropped=tuple(_dropped(whole, plan, round_count)))


def _dropped(whole: Plan, plan: Plan, round_count: RoundCount) -> Iterator[str]:
    """Yield what a plan lacks of the whole one, in words; of stages that measure nothing here nothing is dropped."""
    stages = [(a, b) for a, b in zip(whole.stages, plan.stages, strict=True) if round_count(a)]
    series = {(a.series_budget_ns, b.series_budget_ns) for a, b in stages if a.series_budget_ns != b.series_budget_ns}
    yield from (f"series of {_ms(before)} ms cut to {_ms(after)} ms" for before, after in sorted(series))
    bursts = {(a.bursts.length_ns, b.bursts.length_ns) for a, b in stages if a.bursts and b.bursts and a != b}
    yield from (f"bursts of {format_duration(a)} cut to {format_duration(b)}" for a, b in sorted(bursts))
    for scope, where in ((Scope.BETWEEN_HOSTS, ""), (Scope.WITHIN_HOST, " within hosts")):
        own = [(a, b) for a, b in stages if a.scope is scope and round_count(a) != round_count(b)]
        own = [(a, b) for a, b in own if a.probe not in LOADS]
        partners = {(a.matchings, b.matchings) for a, b in own}
        yield from (f"{before} partners each{where} cut to {after}" for before, after in sorted(partners))
    rounds = [(round_count(a), round_count(b)) for a, b in stages if a.probe in LOADS]
    before, after = (sum(each) for each in zip(*rounds, strict=True)) if rounds else (0, 0)
    if before != after:
        yield f"{before} rounds under load cut to {after}"


def _ms(elapsed_ns: int) -> str:
    return f"{elapsed_ns / NS_PER_MS:.3g}"


def _with_shorter_series(plan: Plan, budget_ns: int, round_count: RoundCount) -> Plan:
    """Return a plan whose bursts and series share what rounds leave of a budget; bursts have whole seconds."""
    overhead = expected_ns(_each(plan, _without_bursts, _without_series), round_count)
    measuring = expected_ns(plan, round_count) - overhead
    scale = max(budget_ns - overhead, 0) / measuring if measuring else 1.0
    if scale >= 1.0:
        return plan
    plan = _each(plan, lambda stage: _with_shorter_bursts(stage, scale))
    fixed = expected_ns(_each(plan, _without_series), round_count)
    series = expected_ns(plan, round_count) - fixed
    rest = min(max(budget_ns - fixed, 0) / series, 1.0) if series else 1.0
    return _each(plan, lambda stage: _with_shorter_series_of(stage, rest))


def _each(plan: Plan, *changes: Callable[[Stage], Stage]) -> Plan:
    for change in changes:
        plan = replace(plan, stages=tuple(map(change, plan.stages)))
    return plan


def _without_series(stage: Stage) -> Stage:
    return stage if stage.storage is not None else replace(stage, series_budget_ns=0)


def _without_bursts(stage: Stage) -> Stage:
    return stage if stage.bursts is None else replace(stage, bursts=replace(stage.bursts, length_ns=0))


def _with_shorter_bursts(stage: Stage, scale: float) -> Stage:
    if stage.bursts is None:
        return stage
    each_ns, shortest_ns = round_ns(stage.bursts), min(SHORTEST_BURSTS_NS, stage.bursts.length_ns)
    whole_ns = int(stage.bursts.length_ns * scale) // each_ns * each_ns
    return replace(stage, bursts=replace(stage.bursts, length_ns=max(whole_ns, shortest_ns)))


def _with_shorter_series_of(stage: Stage, scale: float) -> Stage:
    if stage.storage is not None:  # asked for by itself, and of a few milliseconds a file system tells nothing
        return stage
    return replace(stage, series_budget_ns=max(round(stage.series_budget_ns * scale), SHORTEST_SERIES_NS))


def _can_drop(stage: Stage) -> bool:
    return stage.pairing is Pairing.SCREENING and stage.matchings > 1


def _with_fewer_partners(stage: Stage) -> Stage:
    return replace(stage, matchings=stage.matchings - 1) if _can_drop(stage) else stage
