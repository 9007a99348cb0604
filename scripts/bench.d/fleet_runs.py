"""Run directories of large fleets that do not exist, written in pieces: a table of millions of series never lies whole.

Times as in netprobe.sim.screening, with one difference: noise of iterations comes from a few hundred drawn histograms
that are moved to each pair's median, since drawing 200 samples for each of five million series would take an hour.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from netprobe.model.histogram import bin_of, edges_of, middle_of
from netprobe.model.run import RunHeader, StageOutcome
from netprobe.model.series import Metric, Phase
from netprobe.sim.screening import Screening, screening_run
from netprobe.store.counters_table import counters_schema
from netprobe.store.encoding import json_document
from netprobe.store.files import COUNTERS_FILE, RUN_FILE, SERIES_FILE
from netprobe.store.series_table import series_schema, with_digest, with_later_columns

ROUND_TRIP_NS, MESSAGE_NS, RATE_BYTES_PER_NS, WINDOW = 3_800.0, 120.0, 48.0, 16
SIZES_BYTES = (64 << 10, 8 << 20)
ITERATIONS, WARMUP_ITERATIONS, SLOWEST = 200, 20, 8
BINS, TEMPLATES = 17, 256
PAIR_NOISE_RATIO = 0.01
ROWS_A_PIECE = 200_000
SLOW_RATIO = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Who was measured with whom."""

    hosts: int
    nics_per_host: int
    matchings: int
    """Of hosts; ``hosts - 1`` are all pairs."""
    seed: int = 0

    @property
    def name(self) -> str:
        """A name for its directory."""
        return f"fleet-{self.hosts}x{self.nics_per_host}-{self.matchings}"

    @property
    def slow_host(self) -> int:
        """Sends at SLOW_RATIO of the rate of all others."""
        return self.hosts // 3


def fleet_directory(fleet: Fleet, root: Path) -> Path:
    """Return the run directory of a fleet below ``root``, made if it is not there yet."""
    directory = root / fleet.name
    if not (directory / RUN_FILE).exists():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        _write(fleet, directory)
    return directory


def _write(fleet: Fleet, directory: Path) -> None:
    random = np.random.default_rng(fleet.seed)
    rounds = list(_matchings(fleet, random))
    _write_series(fleet, rounds, directory, random)
    pl.DataFrame(schema=counters_schema()).write_parquet(directory / COUNTERS_FILE)
    (directory / RUN_FILE).write_bytes(json_document(_header(fleet, rounds)))  # last: it says that the rest is there


def _matchings(fleet: Fleet, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield pairs of ranks, shape (2, pairs), by the circle method, in a random order of hosts."""
    count, labels = fleet.hosts - 1, random.permutation(fleet.hosts)
    step = np.arange(1, fleet.hosts // 2)
    places = np.arange(fleet.nics_per_host)
    for turn in np.sort(random.permutation(count)[: fleet.matchings]):
        a = np.concatenate([[count], (turn + step) % count])
        b = np.concatenate([[turn], (turn - step) % count])
        hosts = labels[np.stack([a, b])]
        yield (hosts[:, :, None] * fleet.nics_per_host + places).reshape(2, -1)


def _header(fleet: Fleet, rounds: list[np.ndarray]) -> RunHeader:
    small = screening_run(Screening(hosts=fleet.hosts, ranks_per_host=fleet.nics_per_host, matchings=1)).header
    stages = tuple(replace(stage, matchings=fleet.matchings) for stage in small.plan.stages)
    there = np.concatenate(rounds, axis=1).T
    both = np.concatenate([there, there[:, ::-1]])
    pairs = [tuple(map(tuple, each[np.lexsort((each[:, 1], each[:, 0]))].tolist())) for each in (there, both)]
    outcomes = tuple(
        StageOutcome(stage=stage.id, rounds=len(rounds) * ways, planned_pairs=planned, elapsed_ns=1_000_000_000)
        for stage, planned, ways in zip(stages, pairs, (1, 2), strict=True)
    )
    return replace(small, id=fleet.name, plan=replace(small.plan, stages=stages), outcomes=outcomes)


def _write_series(fleet: Fleet, rounds: list[np.ndarray], directory: Path, random: np.random.Generator) -> None:
    parts = directory / "parts"
    parts.mkdir()
    at_once = max(ROWS_A_PIECE // rounds[0].shape[1], 1)
    number = 0
    for streams in (False, True):
        for first in range(0, len(rounds), at_once):
            rows = _rows(rounds[first : first + at_once], first, streams=streams)
            for phase in Phase:
                frame = with_digest(_frame(fleet, rows, phase, random))
                frame.write_parquet(parts / f"{number:05}.parquet")
                number += 1
    pl.scan_parquet(parts / "*.parquet").sink_parquet(directory / SERIES_FILE, row_group_size=ROWS_A_PIECE)
    shutil.rmtree(parts)


def _rows(rounds: list[np.ndarray], first: int, *, streams: bool) -> dict[str, np.ndarray]:
    src, dst = np.concatenate([each[0] for each in rounds]), np.concatenate([each[1] for each in rounds])
    index = np.repeat(np.arange(first, first + len(rounds)), rounds[0].shape[1])
    if not streams:
        return {"src": src, "dst": dst, "round_index": index, "size_bytes": np.full(len(src), 8)}
    src, dst = np.concatenate([src, dst]), np.concatenate([dst, src])
    index = np.concatenate([2 * index, 2 * index + 1])
    rows = {"src": src, "dst": dst, "round_index": index}
    columns = {name: np.repeat(value, len(SIZES_BYTES)) for name, value in rows.items()}
    return {**columns, "size_bytes": np.tile(SIZES_BYTES, len(src))}


def _frame(fleet: Fleet, rows: dict[str, np.ndarray], phase: Phase, random: np.random.Generator) -> pl.DataFrame:
    streams = int(rows["size_bytes"][0]) != 8
    iterations = ITERATIONS if phase is Phase.TIMED else WARMUP_ITERATIONS
    median_ns = _expected_ns(fleet, rows, streams=streams)
    median_ns = median_ns * np.exp(random.normal(0.0, PAIR_NOISE_RATIO, len(median_ns)))
    bins = bin_of(median_ns.astype(np.int64))[:, None] + np.arange(BINS) - BINS // 2
    counts = _templates(iterations, random)[random.integers(TEMPLATES, size=len(bins))]
    lowest, _ = edges_of(bins[:, 0])
    top, width = edges_of(bins[:, -1])
    highest = top + width - 1
    total_ns = (middle_of(bins) * counts).sum(axis=1).astype(np.int64)
    slowest = pl.DataFrame({"iteration": np.tile(np.arange(SLOWEST), len(bins)), "elapsed_ns": highest.repeat(SLOWEST)})
    messages = WINDOW if streams else 2
    constant: dict[str, Any] = {
        "stage": "bandwidth-between-hosts" if streams else "latency-between-hosts",
        "probe": "bandwidth" if streams else "latency",
        "metric": (Metric.WINDOW if streams else Metric.ROUND_TRIP).value,
        "phase": phase.value, "window": WINDOW if streams else 1, "dtype": "uint8", "op": None, "root": None,
        "in_place": False, "iterations": int(counts[0].sum()), "checked_iterations": 2 if phase is Phase.TIMED else 0,
    }  # fmt: skip
    schema = series_schema()
    frame = pl.DataFrame(
        {
            **rows,
            "bytes_per_iteration": rows["size_bytes"] * messages,
            "total_ns": total_ns,
            "min_ns": lowest,
            "max_ns": highest,
            "histogram_bins": pl.Series(bins).cast(pl.List(pl.Int64)),
            "histogram_counts": pl.Series(counts).cast(pl.List(pl.Int64)),
            "slowest": slowest.to_struct().reshape((len(bins), SLOWEST)).cast(schema["slowest"]),
        }
    )
    frame = frame.with_columns(pl.lit(value, dtype=schema[name]).alias(name) for name, value in constant.items())
    frame = frame.with_columns(pl.lit([], dtype=schema["faults"]).alias("faults"))
    return with_later_columns(frame).select(pl.col(name).cast(kind) for name, kind in schema.items())


def _templates(iterations: int, random: np.random.Generator) -> np.ndarray:
    """Return counts of normal noise over BINS bins, shape (TEMPLATES, BINS), every bin hit, all of one total."""
    offset = np.arange(BINS) - BINS // 2
    share = np.exp(-0.5 * (offset / (BINS / 5.0)) ** 2)
    return random.multinomial(iterations, share / share.sum(), size=TEMPLATES) + 1


def _expected_ns(fleet: Fleet, rows: dict[str, np.ndarray], *, streams: bool) -> np.ndarray:
    if not streams:
        return np.full(len(rows["src"]), ROUND_TRIP_NS)
    ratio = np.where(rows["src"] // fleet.nics_per_host == fleet.slow_host, SLOW_RATIO, 1.0)
    message_ns = np.maximum(MESSAGE_NS, rows["size_bytes"] / RATE_BYTES_PER_NS)
    return (ROUND_TRIP_NS + WINDOW * message_ns) / ratio
