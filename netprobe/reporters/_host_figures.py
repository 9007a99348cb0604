"""What each NIC (or host, where ranks use none) reached with its partners: middles of the maps of pairs.

Of each figure the first map, which is of the lowest layer that was measured. A NIC that has no pair in a map has no
figure of it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from netprobe.model.exhibits import Exhibits, Figure, FloatArray, IntArray, PairMap, Places
from netprobe.stats.grouped import Grouped

SEND, RECEIVE, BOTH = "send", "receive", "both"

ByNic = Mapping[int, float]
"""A figure by the number of the NIC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NicFigures:
    """One NIC of one host."""

    host: str
    nic: str
    """Empty where its ranks use no RDMA device."""
    gbps: Mapping[str, float]
    """By direction."""
    latency_ns: float | None
    loss_ratio: Mapping[str, float]
    """By direction."""
    speed_ratio: float
    """The worst of its speeds over what is typical; infinite where there is none."""


def nic_figures(exhibits: Exhibits) -> tuple[NicFigures, ...]:
    """Return the figures of all NICs that pairs were measured on, in the order of their ranks."""
    nic_of_rank, names = _nics(exhibits.places)
    maps = {each.figure: each for each in reversed(exhibits.maps) if len(each.src)}
    bandwidth, latency, loss = (maps.get(each) for each in (Figure.BANDWIDTH, Figure.LATENCY, Figure.LOSS))
    gbps = {} if bandwidth is None else _middles_by_direction(bandwidth, nic_of_rank, len(names))
    latency_ns = {} if latency is None else _middles_of_ends(latency, nic_of_rank, len(names))
    lost = {} if loss is None else _losses(loss, nic_of_rank, len(names))
    found = []
    for number, (host, nic) in enumerate(names):
        speeds = [own[number] / bandwidth.typical for own in gbps.values() if bandwidth and bandwidth.typical
                  and number in own]  # fmt: skip
        if latency is not None and latency.typical and latency_ns.get(number):
            speeds.append(latency.typical / latency_ns[number])
        figures = NicFigures(
            host=host,
            nic=nic,
            gbps=_of(number, gbps),
            latency_ns=latency_ns.get(number),
            loss_ratio=_of(number, lost),
            speed_ratio=min(speeds, default=math.inf),
        )
        if figures.gbps or figures.latency_ns is not None or figures.loss_ratio:
            found.append(figures)
    return tuple(found)


def _of(number: int, by_direction: Mapping[str, ByNic]) -> dict[str, float]:
    return {direction: own[number] for direction, own in by_direction.items() if number in own}


def _nics(places: Places) -> tuple[IntArray, tuple[tuple[str, str], ...]]:
    """Return the number of each rank's NIC, and what each is called; ranks that share one share its number."""
    numbers: dict[tuple[str, str], int] = {}
    of_rank = [
        numbers.setdefault((places.hosts[int(host)], nic or ""), len(numbers))
        for host, nic in zip(places.host_of.tolist(), places.nics, strict=True)
    ]
    return np.array(of_rank, dtype=np.int64), tuple(numbers)


def _middles_by_direction(found: PairMap, nic_of_rank: IntArray, nics: int) -> dict[str, ByNic]:
    if not found.directed:
        return {BOTH: _middles_of_ends(found, nic_of_rank, nics)}
    ends = ((SEND, found.src), (RECEIVE, found.dst))
    return {direction: _middles(nic_of_rank[ranks], found.value, nics) for direction, ranks in ends}


def _middles_of_ends(found: PairMap, nic_of_rank: IntArray, nics: int) -> ByNic:
    """Return the median over all pairs that a NIC is an end of, whichever."""
    ends = nic_of_rank[np.concatenate([found.src, found.dst])]
    return _middles(ends, np.concatenate([found.value, found.value]), nics)


def _middles(nic: IntArray, value: FloatArray, nics: int) -> ByNic:
    is_known = np.isfinite(value)
    return _known(Grouped.by(nic[is_known], nics).medians(value[is_known]))


def _losses(found: PairMap, nic_of_rank: IntArray, nics: int) -> dict[str, ByNic]:
    """Return what was lost of all that went out of, and into, each NIC."""
    if found.weight is None:
        return {}
    is_known = np.isfinite(found.value) & (found.weight > 0)
    sent, lost = found.weight[is_known], (found.value * found.weight)[is_known]
    ends = ((SEND, found.src), (RECEIVE, found.dst))
    return {direction: _shares(nic_of_rank[ranks[is_known]], lost, sent, nics) for direction, ranks in ends}


def _shares(nic: IntArray, lost: FloatArray, sent: FloatArray, nics: int) -> ByNic:
    of_all = np.bincount(nic, weights=sent, minlength=nics)
    with np.errstate(invalid="ignore"):
        return _known(np.bincount(nic, weights=lost, minlength=nics) / of_all)


def _known(values: FloatArray) -> ByNic:
    return {number: value for number, value in enumerate(values.tolist()) if math.isfinite(value)}


def worst_first(figures: Iterable[NicFigures], order: Mapping[str, int]) -> list[NicFigures]:
    """Return NICs of hosts in trouble first (``order`` of hosts), then those that lose most, then the slowest."""
    return sorted(
        figures,
        key=lambda each: (
            order.get(each.host, len(order)),
            -max(each.loss_ratio.values(), default=0.0),
            each.speed_ratio,
        ),
    )
