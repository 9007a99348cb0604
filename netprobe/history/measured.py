"""One run as ``compare`` takes it: samples of pairs at every size, iterations of collectives, how it was measured."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from netprobe.history.comparing import Measured, Timed
from netprobe.history.digests import digest_of
from netprobe.history.figures import collective_title, every_sample_of, samples_of
from netprobe.model.evidence import Evidence, GroupResult
from netprobe.model.histogram import middle_of
from netprobe.model.history import Unit
from netprobe.model.report import Report
from netprobe.model.run import RunHeader
from netprobe.stats.rates import busbw_gigabytes_per_s

LARGEST_OF_LATENCY: Final = 4096
KEYS: Final = ("stage", "probe", "size_bytes", "dtype", "op", "root", "in_place")


def measured(header: RunHeader, evidence: Evidence, report: Report | None, operations: pl.DataFrame) -> Measured:
    """Return what is compared of a run; ``operations`` as store.operations reads them."""
    trended = frozenset(samples.title for samples in samples_of(evidence))
    return Measured(
        digest=digest_of(header, evidence, report),
        pairs=tuple(every_sample_of(evidence)),
        trended=trended,
        collectives=tuple(_collectives(evidence, operations)),
        configuration=tuple(_configuration(header)),
    )


def _collectives(evidence: Evidence, operations: pl.DataFrame) -> Iterator[Timed]:
    rows = {tuple(row[key] for key in KEYS): row for row in operations.iter_rows(named=True)}
    told: set[str] = set()
    for result in evidence.groups:
        row = rows.get(tuple(getattr(result, key) for key in KEYS))
        title = collective_title(result)
        title = title if title not in told else f"{title}, {result.dtype}"
        if row is not None and row["histogram_bins"] and title not in told:
            told.add(title)
            yield _timed(title, result, row["histogram_bins"], row["histogram_counts"])


def _timed(title: str, result: GroupResult, bins: list[int], counts: list[int]) -> Timed:
    elapsed_ns = np.maximum(middle_of(np.array(bins, dtype=np.int64)), 1.0)
    of_one_ns = busbw_gigabytes_per_s(result.probe, result.size_bytes, 1.0, result.ranks)
    if result.size_bytes <= LARGEST_OF_LATENCY:
        of_one_ns = None  # such a collective is a matter of time, and its bandwidth a number nobody knows
    return Timed(
        title=title,
        unit=Unit.NS if of_one_ns is None else Unit.GIGABYTES_PER_S,
        values=elapsed_ns if of_one_ns is None else of_one_ns / elapsed_ns,
        counts=np.array(counts, dtype=np.int64),
    )


def _configuration(header: RunHeader) -> Iterator[tuple[str, str]]:
    """Yield how a run was measured, as far as it may explain a difference."""
    plan = header.plan
    yield "netprobe", header.netprobe
    yield "profile", plan.profile
    yield "transport", plan.transport
    yield "launch", header.launch.method
    yield "ranks", str(len(header.ranks))
    for stage in plan.stages:
        yield f"stage {stage.id}", f"{len(stage.sizes_bytes)} sizes to {max(stage.sizes_bytes, default=0)} bytes"
    yield from ((f"variable {name}", value) for name, value in header.environment)
