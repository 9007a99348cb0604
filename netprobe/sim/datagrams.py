"""Datagrams on a simulated fabric: what came back, how long it took, and what both ends counted."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from netprobe.catalogue.keys import DatagramKey
from netprobe.model.plan import Stage
from netprobe.model.series import Metric, Phase
from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric
from netprobe.sim.rows import Rows, columns_of, constant_of, rounds_ns_of, stalls_of
from netprobe.sim.samples import drawn_times, series_frame
from netprobe.sim.tally import rank_rows

if TYPE_CHECKING:
    import polars as pl

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

MOST_PINGS: Final = 5_000


def play_datagrams(  # noqa: PLR0913 - all that a stage is about
    fabric: Fabric,
    condition: Condition,
    stage: Stage,
    pairs: tuple[IntArray, IntArray, IntArray],
    rows: Rows,
    median_ns: FloatArray,
    loss: FloatArray,
    back: FloatArray,
    random: np.random.Generator,
) -> "tuple[pl.DataFrame, list[pl.DataFrame]]":
    """Return the round trips of datagrams that came back, and what both ends counted."""
    turn, src, dst = pairs
    sent = np.minimum((stage.series_budget_ns / median_ns).astype(np.int64), MOST_PINGS)
    fits = rows.size_bytes <= np.minimum(condition.path_mtu[src], condition.path_mtu[dst])
    arrived = np.where(fits, sent - random.binomial(sent, loss), 0)
    returned = arrived - random.binomial(arrived, back)
    elapsed_ns = rounds_ns_of(stage, 1)[0]
    counters = []
    for rank, peer, own, theirs in ((src, dst, sent, returned), (dst, src, arrived, arrived)):
        names = {"sent": own, "received": theirs, "late": np.zeros_like(own), "stamped": theirs}
        told = [
            ([str(DatagramKey(peer=a, size_bytes=size, what=what)) for a, size in _ends(peer, rows)], count)
            for what, count in names.items()
        ]
        counters.append(rank_rows(stage.id, turn, rank, np.full(len(rank), elapsed_ns), told))
    kept = returned > 0
    kept_rows = Rows(pair=rows.pair[kept], size_bytes=rows.size_bytes[kept])
    times = {Metric.ROUND_TRIP: 1.0, Metric.WIRE: 0.7, Metric.RESPONDING: 0.15, Metric.PROBING: 0.15}
    import polars as pl

    frames = []
    stalls, stall_ns = stalls_of(fabric, condition, src[kept], dst[kept], returned[kept], random)
    for metric, share in times.items():
        drawn = drawn_times(
            random, share * median_ns[kept], returned[kept], spread_ratio=0.04,
            delays_ns=(stall_ns,), delayed=(stalls if metric is not Metric.WIRE else np.zeros_like(stalls),),
        )  # fmt: skip
        columns = columns_of(turn[kept], src[kept], dst[kept], kept_rows, 2)
        frames.append(series_frame(drawn, columns, constant_of(stage, metric, Phase.TIMED), random))
    return pl.concat(frames), counters


def _ends(peer: IntArray, rows: Rows) -> Iterator[tuple[int, int]]:
    return zip(peer.tolist(), rows.size_bytes.tolist(), strict=True)
