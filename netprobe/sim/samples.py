"""Series without drawing every iteration: a row's times are quantiles of what is known of it, with counts.

The body of a row is log-normal around its median; behind it come the few that a host delays, and those that a timer
delayed. That gives the same histograms as hundreds of draws, at the cost of two dozen numbers a row.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.histogram import bin_of
from netprobe.store.series_table import later_columns, series_schema

if TYPE_CHECKING:
    import polars as pl

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

BODY: Final = 24
QUANTILES: Final = np.array([NormalDist().inv_cdf((each + 0.5) / BODY) for each in range(BODY)])
SLOWEST_KEPT: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Times:
    """Times of rows and how often each came, both of shape (rows, times), ascending in a row."""

    times_ns: IntArray
    counts: IntArray

    @property
    def total_ns(self) -> IntArray:
        """Of each row, all iterations together."""
        total: IntArray = (self.times_ns * self.counts).sum(axis=1)
        return total


def drawn_times(
    random: np.random.Generator,
    median_ns: FloatArray,
    iterations: IntArray,
    *,
    spread_ratio: float,
    delays_ns: tuple[FloatArray, ...] = (),
    delayed: tuple[IntArray, ...] = (),
) -> Times:
    """Return the times of rows; ``delays_ns`` come on top in as many iterations as ``delayed`` says, a kind each."""
    shape = (len(median_ns), BODY)
    jitter = random.normal(0.0, spread_ratio / BODY, shape)
    body = median_ns[:, None] * np.exp(spread_ratio * QUANTILES + jitter)
    late = [np.minimum(each, np.maximum(iterations // 2, 0)) for each in delayed]
    regular = np.maximum(iterations - sum(late, np.zeros_like(iterations)), 1)
    shares = regular[:, None] // BODY + (np.arange(BODY)[::-1] < (regular % BODY)[:, None])
    times = np.concatenate([body, *((median_ns + each)[:, None] for each in delays_ns)], axis=1)
    counts = np.concatenate([shares, *(each[:, None] for each in late)], axis=1)
    order = np.argsort(times, axis=1, kind="stable")
    return Times(
        times_ns=np.maximum(np.rint(np.take_along_axis(times, order, axis=1)), 1).astype(np.int64),
        counts=np.take_along_axis(counts, order, axis=1).astype(np.int64),
    )


def series_frame(
    times: Times, columns: "dict[str, object]", constant: "dict[str, object]", random: np.random.Generator
) -> "pl.DataFrame":
    """Return the rows as store.series_table has them; ``columns`` differ by row, ``constant`` are the stage's.

    Where a column says when rows began, their slowest iterations have times as well, drawn from all of the row.
    """
    import polars as pl

    schema = series_schema()
    rows = len(times.times_ns)
    has = times.counts > 0
    first = has.argmax(axis=1)
    last = has.shape[1] - 1 - has[:, ::-1].argmax(axis=1)
    at = np.arange(rows)
    made: dict[str, object] = {
        **columns,
        "iterations": times.counts.sum(axis=1),
        "total_ns": times.total_ns,
        "min_ns": times.times_ns[at, first],
        "max_ns": times.times_ns[at, last],
    }
    if "faults" not in made:
        made["faults"] = pl.Series([[]], dtype=schema["faults"]).new_from_index(0, rows)
    # One query for all of it: each one more waits for polars' thread, which costs more than its rows do.
    told = {
        **{name: pl.col(name) for name in made},
        **{name: pl.lit(value, dtype=schema[name]) for name, value in constant.items()},
    }
    lists = {**_histogram_columns(times), **_slowest_columns(times, columns.get("started_ns"), random)}
    lengths = {f"{name} length": length for name, (_, length) in lists.items()}
    told |= {name: pl.col(name).arr.to_list().list.head(pl.col(f"{name} length")) for name in lists}
    frame = pl.DataFrame({**made, **{name: values for name, (values, _) in lists.items()}, **lengths})
    for name, kind in later_columns().items():
        told.setdefault(name, pl.lit([] if isinstance(kind, pl.List) else None, dtype=kind))
    return frame.select(told[name].cast(kind).alias(name) for name, kind in schema.items())


def _histogram_columns(times: Times) -> dict[str, tuple["pl.Series", IntArray]]:
    """Return bins and counts of each row at the beginning of an array, and how many there are."""
    import polars as pl

    rows, width = times.times_ns.shape
    kept = times.counts.ravel() > 0
    row = np.repeat(np.arange(rows), width)[kept]
    bins, counts = bin_of(times.times_ns.ravel()[kept]), times.counts.ravel()[kept]
    begins = np.concatenate([[True], (bins[1:] != bins[:-1]) | (row[1:] != row[:-1])])
    starts = np.flatnonzero(begins)
    length = np.bincount(row[starts], minlength=rows)
    if not length.all():
        raise ValueError("a row without values")
    place = np.arange(len(starts)) - np.repeat(np.cumsum(length) - length, length)

    def packed(values: IntArray) -> "pl.Series":
        array = np.zeros((rows, int(length.max())), dtype=np.int64)
        array[row[starts], place] = values
        return pl.Series(array)

    return {
        "histogram_bins": (packed(bins[starts]), length),
        "histogram_counts": (packed(np.add.reduceat(counts, starts)), length),
    }


def _slowest_columns(
    times: Times, started_ns: object, random: np.random.Generator
) -> dict[str, tuple["pl.Series", IntArray]]:
    """Return the slowest iterations of each row, when they began, and how many there are; which they were is drawn."""
    import polars as pl

    behind = np.cumsum(times.counts[:, ::-1], axis=1)
    rank = np.arange(SLOWEST_KEPT)
    total = behind[:, -1]
    place = (behind[:, None, :] <= rank[None, :, None]).sum(axis=2)
    width = times.times_ns.shape[1]
    elapsed = np.take_along_axis(times.times_ns[:, ::-1], np.minimum(place, width - 1), axis=1)
    # One from each eighth of the row, the eighths in any order: no two are the same, and none are at a beat.
    eighth = random.permuted(np.broadcast_to(rank, elapsed.shape), axis=1)
    share = (eighth + random.random(elapsed.shape)) / SLOWEST_KEPT
    share = np.where(total[:, None] < SLOWEST_KEPT, rank[None, :] / SLOWEST_KEPT, share)
    iteration = np.minimum((share * np.maximum(total, SLOWEST_KEPT)[:, None]).astype(np.int64), total[:, None] - 1)
    shape, length = (len(total), SLOWEST_KEPT), np.minimum(total, SLOWEST_KEPT)
    flat = pl.DataFrame({"iteration": iteration.ravel(), "elapsed_ns": elapsed.ravel()}).to_struct()
    found = {"slowest": (flat.reshape(shape), length)}
    if started_ns is not None:
        began_ns = np.asarray(started_ns)[:, None] + (share * times.total_ns[:, None]).astype(np.int64)
        found["slowest_at_ns"] = (pl.Series(began_ns.ravel()).reshape(shape), length)
    return found
