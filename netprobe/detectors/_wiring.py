"""On which leaf NICs really are: where cables end, which may be elsewhere than the topology says.

Rates and latencies follow the cables: held against a topology that is wrong about two NICs, well hosts seem slow whose
partners are farther away than they should be. Who is wrong is rail-miswired's to tell.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._rdma_ends import ends_of
from netprobe.locate.latency_classes import boundary_ns, latency_rails, quickest, wiring
from netprobe.locate.placement import Placement, placement_of
from netprobe.locate.remembered import remembered
from netprobe.model.evidence import Evidence

IntArray = NDArray[np.int64]


@remembered(1)  # who asks for the same placement shares what was fitted with it
def wired_placement(evidence: Evidence) -> Placement:
    """Return where ranks live, each on the leaf of its cable: by LLDP, or else by latency; as it was told otherwise."""
    told = placement_of(evidence.ranks)
    if len(told.leaves) < 2:
        return told
    leaf_of = _by_latency(evidence, told)
    for rank, switch in switches_told(evidence).items():
        if switch in told.leaves and told.leaf_of[rank] >= 0:
            leaf_of[rank] = told.leaves.index(switch)
    return told if np.array_equal(leaf_of, told.leaf_of) else replace(told, leaf_of=leaf_of)


def switches_told(evidence: Evidence) -> dict[int, str]:
    """Return the switch that LLDP tells of each rank's NIC; absent where it tells none."""
    found = {}
    for rank, end in ends_of(evidence).items():
        net = None if end.port is None else end.port.net
        if net is not None and net.neighbour is not None:
            found[rank] = net.neighbour.system
    return found


def contradicts(rank: int, switch: str, placement: Placement) -> bool:
    """Return whether LLDP names another leaf of the topology; a name that is not in it may be spelled otherwise."""
    return switch in placement.leaves and switch != placement.leaves[int(placement.leaf_of[rank])]


def _by_latency(evidence: Evidence, told: Placement) -> IntArray:
    leaf_of = told.leaf_of.copy()
    for table, rows in latency_rails(evidence.pairs, told):
        latency_ns = quickest(table)[rows]
        limit_ns = boundary_ns(latency_ns)
        if limit_ns is None:
            continue
        found = wiring(table.src[rows], table.dst[rows], latency_ns < limit_ns, told.leaf_of)
        for each in found.misplaced:
            if each.found is not None:
                leaf_of[each.nic] = each.found
    return leaf_of
