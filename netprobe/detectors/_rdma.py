"""Losses on RDMA as packet-loss, out-of-order, pfc-missing and headroom share them: decided once which are none."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._ports import BoolArray, FloatArray, Ports
from netprobe.detectors._signatures import DAMAGE, DROPS
from netprobe.detectors._words import between_hosts
from netprobe.locate.loss import is_lossy
from netprobe.locate.placement import Placement
from netprobe.locate.rdma_loss import RdmaLoss, overtaken, rdma_loss
from netprobe.model.evidence import Evidence
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning
from netprobe.model.plan import Path
from netprobe.model.ports import Span

IntArray = NDArray[np.int64]

FEWEST_HOLES: Final = 6.0
"""In one direction: a few requests that are sent again needlessly, by a host that was busy, make as many."""
UNTOLD_SHARE: Final = 0.01
"""Of what was lost: where acknowledgements get lost, senders wait in vain for packets that nobody misses."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RdmaCase:
    """What each direction between ports lost, and which of it is loss; arrays are indexed like ``loss.rows``."""

    ports: Ports
    loss: RdmaLoss
    overtaken: BoolArray
    """Holes that are packets which overtook others: out-of-order tells of them, packet-loss does not."""
    lossy: BoolArray


def rdma_case(evidence: Evidence, limits: Limits, placement: Placement) -> RdmaCase:
    """Return the losses of a run over RDMA; empty where no port of a NIC was read in rounds."""
    ports = Ports(evidence=evidence, limits=limits)
    tables = between_hosts(evidence)
    verbs = {stage.id for stage in evidence.plan.stages if stage.path is Path.VERBS}
    verbs |= {table.stage for table in tables if table.path is Path.VERBS}
    loss = rdma_loss(ports.table, tables, placement, verbs=verbs)
    damaged = (ports.grown(*DAMAGE, *DROPS) > 0) | (ports.grown(Meaning.RETRIES_EXCEEDED) > 0)
    late = overtaken(loss, leaf=ports.leaf, damaged=damaged)
    lossy = is_lossy(loss.rows, smallest_ratio=limits.rdma_loss_ratio, fewest=limits.loss_floor_segments)
    return RdmaCase(ports=ports, loss=loss, overtaken=late, lossy=lossy & ~late)


def lost_alone(case: RdmaCase) -> FloatArray:
    """Return what each port lost on sending in rounds with one partner, shape (ports,): what load does not explain."""
    rows = case.loss.rows
    lost = np.bincount(rows.src, case.loss.naks + rows.timeouts, len(case.ports.table.host))
    return lost.astype(np.float64)


def sent_alone(case: RdmaCase) -> FloatArray:
    """Return the packets that each port sent in rounds with one partner, shape (ports,), as far as they are counted."""
    rows = case.loss.rows
    sent = np.bincount(rows.src, np.nan_to_num(rows.sent), len(case.ports.table.host))
    return sent.astype(np.float64)


def reordered(case: RdmaCase) -> BoolArray:
    """Return the rows in which so many packets overtake each other that it is no chance."""
    rows = case.loss.rows
    fewest = np.maximum(case.ports.limits.reorder_ratio * rows.sent, FEWEST_HOLES)
    late: BoolArray = case.overtaken & rows.is_counted & (case.loss.naks >= fewest)
    return late


def bad_receivers(case: RdmaCase) -> BoolArray:
    """Return the ports at which packets go missing, or overtake each other, without load as well; shape (ports,).

    Whoever sends to them loses under load too, the more the more it sends there.
    """
    bad: BoolArray = case.ports.grown(*DAMAGE) > 0
    bad[case.loss.rows.dst[case.lossy | reordered(case)]] = True
    return bad


def are_accounted_for(case: RdmaCase, lost: float, receivers: BoolArray, span: Span = Span.LOAD) -> bool:
    """Return whether so many packets that senders lost are those that went missing at these ports."""
    missing = case.ports.grown(Meaning.OUT_OF_SEQUENCE, *DAMAGE, span=span)[receivers]
    left = lost - float(np.nansum(missing))
    return bool(receivers.any()) and left < max(case.ports.limits.loss_floor_segments, UNTOLD_SHARE * lost)
