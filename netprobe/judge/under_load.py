"""The figures of a report about load: idle against loaded latency, many to one, everybody at once."""

from collections.abc import Iterator

import numpy as np

from netprobe.judge.storage import storage_summary
from netprobe.locate.line_rate import LineRates, line_rates
from netprobe.locate.loads import fan_ins, pair_gbps, victims
from netprobe.locate.placement import Placement
from netprobe.locate.rails import rail_sums
from netprobe.model.evidence import Evidence, FloatArray, IntArray, LoadedTable, LoadFlows
from netprobe.model.plan import BISECTION, INCAST, PERMUTATION, RAILS, VICTIM
from netprobe.model.report import FanInSummary, LoadedSummary, TogetherSummary, UnderLoad

P50, P99, P999, MAX = range(4)


def under_load(evidence: Evidence, placement: Placement) -> UnderLoad:
    """Return the figures of all tables of load."""
    return UnderLoad(
        storage=tuple(storage_summary(table, placement) for table in evidence.storage),
        loaded=tuple(row for table in evidence.loaded for row in _loaded(table, placement)),
        fan_ins=tuple(
            row
            for table in _of(evidence, INCAST)
            for row in _fan_ins(table, placement, line_rates(evidence, table.scope))
        ),
        together=(
            *(
                _victims(table, placement)
                for table in _of(evidence, VICTIM)
                if len(victims(table, placement.place_of).src)
            ),
            *(_together(table, evidence, placement) for table in _of(evidence, PERMUTATION, BISECTION)),
            *(row for table in _of(evidence, RAILS) for row in _rails(table, placement)),
        ),
    )


def _of(evidence: Evidence, *probes: str) -> Iterator[LoadFlows]:
    return (table for table in evidence.flows_together if table.probe in probes)


def _loaded(table: LoadedTable, placement: Placement) -> Iterator[LoadedSummary]:
    """Yield a row for each kind of background."""
    kinds = np.array(table.background)
    for kind in dict.fromkeys(table.background):
        own = kinds == kind
        idle, loaded, factor = table.idle_ns[own] / 2, table.loaded_ns[own] / 2, table.factor[own]
        known = np.flatnonzero(np.isfinite(factor[:, P99]))
        worst = int(known[np.argmax(factor[known, P99])]) if len(known) else None
        idle_p50, loaded_p50, factor_max = (_median(each) for each in (idle[:, P50], loaded[:, P50], factor[:, MAX]))
        if idle_p50 is None or loaded_p50 is None or factor_max is None:
            continue  # of what was alone nothing is known
        src, dst = table.src[own], table.dst[own]
        yield LoadedSummary(
            scope=table.scope,
            size_bytes=table.size_bytes,
            background=kind,
            pairs=int(own.sum()),
            idle_p50_ns=idle_p50,
            loaded_p50_ns=loaded_p50,
            idle_p99_ns=_median(idle[:, P99]),
            loaded_p99_ns=_median(loaded[:, P99]),
            factor_p99=_median(factor[:, P99]),
            factor_p999=_median(factor[:, P999]),
            factor_max=factor_max,
            worst_pair=None if worst is None else (placement.name(int(src[worst])), placement.name(int(dst[worst]))),
            worst_factor_p99=None if worst is None else float(factor[worst, P99]),
        )


def _median(values: FloatArray) -> float | None:
    """Return the median of what is known, where most is: else it would flatter."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if 2 * len(known) > len(values) else None


def _fan_ins(table: LoadFlows, placement: Placement, lines: LineRates | None) -> Iterator[FanInSummary]:
    told = fan_ins(table)
    for fan_in in np.unique(told.fan_in).tolist():
        own = np.flatnonzero(told.fan_in == fan_in)
        worst = int(own[np.argmin(told.goodput_gbps[own])])
        has_others = len(own) > 1
        line_gbps = np.full(len(own), np.nan) if lines is None else lines.gbps[told.dst[own]]
        yield FanInSummary(
            scope=table.scope,
            size_bytes=table.size_bytes,
            fan_in=fan_in,
            receivers=len(np.unique(told.dst[own])),
            hot_hosts=len(np.unique(placement.host_of[told.dst[own]])),
            hosts=len(placement.hosts),
            goodput_gbps=float(np.median(told.goodput_gbps[own])),
            kept_ratio=_median(told.kept_ratio[own]),
            jain=float(np.median(told.jain[own])),
            worst_receiver=placement.name(int(told.dst[worst])) if has_others else None,
            worst_gbps=float(told.goodput_gbps[worst]) if has_others else None,
            longest_window_ns=float(told.max_ns[own].max()),
            line_gbps=_median(line_gbps),
            line_ratio=_median(told.goodput_gbps[own] / line_gbps),
            line_basis=None if lines is None else lines.basis,
        )


def _together(table: LoadFlows, evidence: Evidence, placement: Placement) -> TogetherSummary:
    rounds, turn = np.unique(table.round_index, return_inverse=True)
    totals = np.bincount(turn, table.gbps, len(rounds))
    flows = int(np.median(np.bincount(turn, minlength=len(rounds))))
    total = float(np.median(totals))
    one = pair_gbps(evidence.pairs, table.scope)
    alone = None if one is None else flows * one
    worst = int(np.argmin(table.gbps))
    return TogetherSummary(
        probe=table.probe,
        scope=table.scope,
        size_bytes=table.size_bytes,
        flows=flows,
        total_gbps=total,
        alone_gbps=alone,
        kept_ratio=None if not alone else total / alone,
        worst_flow=_ends(table.src, table.dst, worst, placement),
        worst_gbps=float(table.gbps[worst]),
    )


def _rails(table: LoadFlows, placement: Placement) -> Iterator[TogetherSummary]:
    """Yield what a pair of hosts carries on all rails, the median, against the sum of each alone."""
    told = rail_sums(table, placement)
    if not len(told.one):
        return
    worst = int(np.argmin(told.kept_ratio))
    yield TogetherSummary(
        probe=table.probe,
        scope=table.scope,
        size_bytes=table.size_bytes,
        flows=2 * told.rails,
        total_gbps=float(np.median(told.together_gbps)),
        alone_gbps=float(np.median(told.alone_gbps)),
        kept_ratio=float(np.median(told.kept_ratio)),
        worst_flow=(placement.hosts[told.one[worst]], placement.hosts[told.other[worst]]),
        worst_gbps=float(told.together_gbps[worst]),
    )


def _victims(table: LoadFlows, placement: Placement) -> TogetherSummary:
    told = victims(table, placement.place_of)
    alone = float(np.median((told.alone_gbps + told.again_gbps) / 2))
    worst = int(np.argmin(told.loaded_gbps))
    return TogetherSummary(
        probe=table.probe,
        scope=table.scope,
        size_bytes=table.size_bytes,
        flows=len(told.src),
        total_gbps=float(np.median(told.loaded_gbps)),
        alone_gbps=alone,
        kept_ratio=float(np.median(1 - told.loss_ratio)),
        worst_flow=_ends(told.src, told.dst, worst, placement),
        worst_gbps=float(told.loaded_gbps[worst]),
    )


def _ends(src: IntArray, dst: IntArray, at: int, placement: Placement) -> tuple[str, str]:
    return placement.name(int(src[at])), placement.name(int(dst[at]))
