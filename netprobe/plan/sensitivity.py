"""What a plan will be able to tell, said before it starts."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.placement import placement_of
from netprobe.model.endpoint import Rank
from netprobe.model.plan import LOADS, Pairing, Path, Plan, Scope, Stage
from netprobe.model.rdma import RdmaEndpoint
from netprobe.model.sensitivity import Sensitivity
from netprobe.plan.rounds import Drawing
from netprobe.plan.screening import bad_hosts, false_blame
from netprobe.registry import pick, probes
from netprobe.stats.distinct import sorted_distinct

IntArray = NDArray[np.int64]

ROCE_PACKET_BYTES: Final = 4096  # the largest path MTU of verbs: with smaller ones there are more packets, and it holds
STREAMS: Final = ("bandwidth", "bidirectional")
"""Probes in which a rank sends as fast as it can, once in each matching."""


def planned_sensitivity(
    plan: Plan, ranks: tuple[Rank, ...], endpoints: Sequence[RdmaEndpoint] = ()
) -> Sensitivity | None:
    """Return what a fitted plan can tell of hosts that meet; None with a single host, or where no hosts are to meet."""
    stages = [stage for stage in plan.stages if _crosses(stage)]
    drawing = Drawing(ranks, plan.seed)
    hosts = len(drawing.hosts)
    if hosts < 2 or not stages:
        return None
    met = _met(stages, drawing, ranks)
    partners, pairs = (hosts - 1, hosts * (hosts - 1) // 2) if met is None else counted_pairs(met, hosts)
    return Sensitivity(
        hosts=hosts,
        partners=partners,
        host_pairs=pairs,
        bad_hosts=bad_hosts(hosts),
        false_blame=false_blame(hosts, bad_hosts(hosts), partners),
        packets=_packets(stages, endpoints),
    )


def counted_pairs(ends: IntArray, hosts: int) -> tuple[int, int]:
    """Return the partners of the host with the fewest, and the distinct pairs; ``ends`` are hosts, shape (n, 2)."""
    one, other = ends[:, 0], ends[:, 1]
    pairs = sorted_distinct(np.minimum(one, other) * hosts + np.maximum(one, other), below=hosts * hosts)
    partners = np.bincount(pairs // hosts, minlength=hosts) + np.bincount(pairs % hosts, minlength=hosts)
    return int(partners.min()), len(pairs)


def _crosses(stage: Stage) -> bool:
    return stage.scope is Scope.BETWEEN_HOSTS and bool(stage.sizes_bytes) and stage.probe not in LOADS


def _met(stages: Iterable[Stage], drawing: Drawing, ranks: tuple[Rank, ...]) -> IntArray | None:
    """Return the hosts of all pairs that the stages draw, shape (n, 2); None: everybody meets everybody."""
    host_of = placement_of(ranks).host_of
    parts = []
    for stage in {(each.pairing, each.matchings, each.rounds): each for each in stages}.values():
        if stage.pairing is Pairing.ALL_PAIRS and not stage.rounds:
            return None
        parts += [host_of[each.ends] for each in drawing.rounds(stage, pick("probe", probes(), stage.probe))]
    return np.concatenate(parts)


def _packets(stages: Iterable[Stage], endpoints: Sequence[RdmaEndpoint]) -> int | None:
    """Return the packets that a NIC sends at line rate over RDMA; None where no rate is known.

    Of each stage only the largest messages count: small ones are bound by the CPU, and how far nobody knows before.
    """
    rates = [each.rate_gbps for each in endpoints if each.rate_gbps]
    sending_ns = sum(
        stage.matchings * stage.series_budget_ns
        for stage in stages
        if stage.path is Path.VERBS and stage.probe in STREAMS and not stage.needs_gpu and stage.iterations is None
    )
    packets = int(min(rates) * sending_ns / (8 * ROCE_PACKET_BYTES)) if rates else 0
    return packets or None
