"""Series of pairs that are out of the ordinary: spikes with their times, two speeds, and a median that wanders."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from netprobe.judge.pair_tables import with_carrier, with_scope
from netprobe.model.evidence import NO_SPIKES, Shape, SpikeTable
from netprobe.model.plan import Memory, Path, Scope
from netprobe.model.run import RunHeader
from netprobe.model.series import Metric


def spike_table(pairs: pl.DataFrame) -> SpikeTable:
    """Return the spikes of timed rows of pairs, and all series beside them in which there could have been some."""
    is_spiky = pl.col("spikes_at_ns").list.len() > 0
    if pairs.is_empty() or not pairs.select(is_spiky.any()).item():
        return NO_SPIKES
    told = pairs.filter(pl.col("started_ns").is_not_null()).with_row_index("series")
    spikes = told.filter(is_spiky).select("series", "spikes_at_ns", "spikes_ns").explode("spikes_at_ns", "spikes_ns")
    started_ns = told["started_ns"].cast(pl.Float64).to_numpy()
    series = spikes["series"].cast(pl.Int64).to_numpy()
    ended_ns = started_ns + told["total_ns"].cast(pl.Float64).to_numpy()
    at_ns = spikes["spikes_at_ns"].cast(pl.Float64).to_numpy()
    np.maximum.at(ended_ns, series, at_ns)  # between parts of a series ranks agree, which takes time as well
    return SpikeTable(
        src=told["src"].to_numpy(),
        dst=told["dst"].to_numpy(),
        started_ns=started_ns,
        ended_ns=ended_ns,
        p50_ns=told["p50_ns"].to_numpy(),
        series=series,
        at_ns=at_ns,
        elapsed_ns=spikes["spikes_ns"].cast(pl.Float64).to_numpy(),
    )


def shapes_of(pairs: pl.DataFrame, header: RunHeader) -> Iterator[Shape]:
    """Yield the series between hosts that have two speeds or slow down; ``pairs`` have their statistics."""
    is_odd = pl.col("low_ns").is_not_nan() | pl.col("first_quarter_ns").is_not_nan()
    odd = with_carrier(with_scope(pairs.filter(is_odd), header), header.plan)
    for row in odd.filter(pl.col("scope") == Scope.BETWEEN_HOSTS.value).iter_rows(named=True):
        has_modes, is_slowing = not np.isnan(row["low_ns"]), not np.isnan(row["first_quarter_ns"])
        yield Shape(
            probe=row["probe"],
            path=Path(row["path"]),
            memory=(Memory(row["send_memory"]), Memory(row["receive_memory"])),
            size_bytes=row["size_bytes"],
            metric=Metric(row["metric"]),
            bytes_per_iteration=row["bytes_per_iteration"],
            src=row["src"],
            dst=row["dst"],
            modes_ns=(row["low_ns"], row["high_ns"]) if has_modes else None,
            high_share=row["high_share"] if has_modes else None,
            quarters_ns=(row["first_quarter_ns"], row["last_quarter_ns"]) if is_slowing else None,
        )
