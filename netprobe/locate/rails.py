"""What pairs of hosts carry on all rails at once, against the sum of each rail alone."""

from dataclasses import dataclass

import numpy as np

from netprobe.locate.placement import Placement
from netprobe.model.evidence import FloatArray, IntArray, LoadFlows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RailSums:
    """One row for each pair of hosts in each turn; arrays have shape (n,)."""

    rails: int
    one: IntArray
    """Hosts, by their number in the placement."""
    other: IntArray
    alone_gbps: FloatArray
    """Both ways, the sum over rails, each of which was measured alone."""
    together_gbps: FloatArray

    @property
    def kept_ratio(self) -> FloatArray:
        """Return the share that all at once keep."""
        ratio: FloatArray = self.together_gbps / self.alone_gbps
        return ratio


def rail_sums(flows: LoadFlows, placement: Placement) -> RailSums:
    """Return the sums of a table; pairs of which one flow is missing are left out, as their sums would be short."""
    rails = _rails(placement)
    ends = np.sort(np.stack([placement.host_of[flows.src], placement.host_of[flows.dst]], axis=1), axis=1)
    turn, phase = np.divmod(flows.round_index, rails + 1)
    keys, group = np.unique(np.column_stack([turn, ends]), axis=0, return_inverse=True)
    group, is_all = group.ravel(), phase == rails

    def by_pair(values: FloatArray) -> tuple[FloatArray, FloatArray]:
        alone, together = (np.bincount(group[own], values[own], len(keys)) for own in (~is_all, is_all))
        return alone.astype(np.float64), together.astype(np.float64)

    counts = by_pair(np.ones(len(group)))
    whole = (counts[0] == 2 * rails) & (counts[1] == 2 * rails)
    alone, together = by_pair(flows.gbps)
    return RailSums(
        rails=rails, one=keys[whole, 1], other=keys[whole, 2], alone_gbps=alone[whole], together_gbps=together[whole]
    )


def _rails(placement: Placement) -> int:
    """Return how many rails the rounds have: as many as the ranks of the host that has fewest."""
    return int(np.bincount(placement.host_of).min())
