"""Losses on RDMA as packet-loss, out-of-order and pfc-missing share them: decided once which of them are none."""

from dataclasses import dataclass

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

IntArray = NDArray[np.int64]


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
