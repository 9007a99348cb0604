"""Reads run directories, whole or cut short; everything that can be wrong with one is a StoreError of one line.

run.json is authoritative: rows of stages that it does not call finished were written just before a death, and dropped.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import numpy as np

from netprobe.errors import FormatError, StoreError
from netprobe.model.bursts import StepBin
from netprobe.model.counters import BETWEEN_READINGS, IDLE
from netprobe.model.gpu import GpuWindow
from netprobe.model.inventory import INVENTORY_FORMAT, HostInventory, Inventories
from netprobe.model.report import REPORT_FORMAT, Report
from netprobe.model.run import RUN_FORMAT, RunHeader
from netprobe.model.series import MOVING_METRICS, Metric, Phase
from netprobe.store.counters_table import counters_schema
from netprobe.store.encoding import from_json
from netprobe.store.files import (
    COUNTERS_FILE,
    GPUS_FILE,
    INVENTORY_FILE,
    REPORT_FILE,
    RUN_FILE,
    SERIES_FILE,
    STEPS_FILE,
)
from netprobe.store.gpus_table import gpus_schema, windows_of
from netprobe.store.series_table import (
    digest_schema,
    judged_schema,
    series_schema,
    with_counted_bits,
    with_later_columns,
)
from netprobe.store.steps_table import bins_of, steps_schema

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

MEASURE_AGAIN: Final = "another run, or measure again with `netprobe check`"
NAMED_BY_CHECK: Final = "the directory that `netprobe check` named at its end"
NULLABLE: Final = frozenset({"dst", "op", "root", "started_ns", "cpu"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A run as it was measured: its header, and the series of its finished stages (store.series_table)."""

    header: RunHeader
    series: "pl.DataFrame"
    """With a digest instead of its lists, where it was read so and the file has one."""
    counters: "pl.DataFrame"
    """What the ranks' systems counted in the rounds of those stages (store.counters_table)."""
    inventories: tuple[HostInventory, ...] = ()
    """What hosts are made of (inventory.json)."""
    gpu_windows: tuple[GpuWindow, ...] = ()
    """What GPUs showed while those stages ran (gpus.parquet)."""
    steps: tuple[StepBin, ...] = ()
    """What seconds of bursts were like, also of a stage that was cut short (steps.parquet)."""
    left_out_bytes: int = 0
    """Moved by warm-up rows that a reading without lists leaves out of ``series``."""
    directory: Path | None = None
    """Where it was read from; None when it was made in memory."""


class _Stamp(msgspec.Struct):
    """What every format of every file begins with."""

    format: int
    netprobe: str = "of an unknown version"


def read_run(path: Path, *, lists: bool = True) -> Run:
    """Return the run in a directory, or beside a run.json; StoreError when there is none that can be read.

    Without ``lists`` (histograms, slowest iterations) it takes a tenth of the memory and is as good for judging.
    """
    file = _file_in(path, RUN_FILE)
    header = _header_in(file)
    series, left_out_bytes = _finished_series(file.with_name(SERIES_FILE), header, lists=lists)
    return Run(
        header=header,
        series=series,
        left_out_bytes=left_out_bytes,
        counters=_finished_counters(file.with_name(COUNTERS_FILE), header),
        inventories=_inventories(file.with_name(INVENTORY_FILE)),
        gpu_windows=_finished_gpus(file.with_name(GPUS_FILE), header),
        steps=_steps(file.with_name(STEPS_FILE), header),
        directory=file.parent,
    )


def read_header(path: Path) -> RunHeader:
    """Return the header of a run alone; StoreError when there is none that can be read."""
    return _header_in(_file_in(path, RUN_FILE))


def _header_in(file: Path) -> RunHeader:
    header = _decoded(file, RunHeader, RUN_FORMAT)
    _refuse_strangers(file, header)
    if [rank.rank for rank in header.ranks] != list(range(len(header.ranks))):
        raise FormatError(f"{file} does not number its ranks from 0 upwards", remedy=MEASURE_AGAIN)
    return header


def read_report(path: Path) -> Report:
    """Return the report in a run directory, or in a report.json; StoreError when there is none that can be read."""
    return _decoded(_file_in(path, REPORT_FILE), Report, REPORT_FORMAT)


def _file_in(path: Path, name: str) -> Path:
    try:
        if path.is_dir():
            if (path / name).exists():
                return path / name
            raise _not_a_run(path, name)
        if path.exists() and path.name == name:
            return path
        what = "is a file, not a run directory" if path.exists() else "does not exist"
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", remedy="the rights of its directories") from error
    raise StoreError(f"{path} {what}", remedy=NAMED_BY_CHECK)


def _not_a_run(directory: Path, name: str) -> StoreError:
    """Return the error for a directory that lacks the file ``name``, with the one that was probably meant."""
    runs = sorted(each.parent for each in directory.glob(f"*/{name}"))
    if runs:
        return StoreError(f"{directory} holds {len(runs)} runs and is none itself", remedy=str(runs[-1]))
    if name == REPORT_FILE and (directory / RUN_FILE).exists():
        return StoreError(f"{directory} has no {name}: it was never judged", remedy=f"netprobe judge {directory}")
    state = "is no run directory" if any(directory.iterdir()) else "is an empty directory"
    return StoreError(f"{directory} {state}: it has no {name}", remedy=NAMED_BY_CHECK)


def _decoded(file: Path, kind: type[T], newest: int) -> T:
    """Return the record in a JSON file; its format number is looked at first, for newer fields would mislead."""
    body = _content_of(file)
    try:
        stamp = from_json(body, _Stamp)
    except FormatError as error:
        is_ours = not isinstance(error.__cause__, msgspec.ValidationError)
        what = "is damaged" if is_ours else "was not written by netprobe"
        raise FormatError(f"{file} {what}: {error}", remedy=MEASURE_AGAIN) from error
    if stamp.format < 1:
        raise FormatError(f"{file} claims format {stamp.format}, which never was", remedy=MEASURE_AGAIN)
    if stamp.format > newest:
        raise FormatError(
            f"{file} was written by netprobe {stamp.netprobe!r} in format {stamp.format}; this netprobe reads up to "
            f"{newest}",
            remedy="pip install --upgrade netprobe",
        )
    try:
        with _without_collecting():
            return from_json(body, kind)
    except FormatError as error:
        raise FormatError(f"{file} is not as netprobe writes it: {error}", remedy=MEASURE_AGAIN) from error


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Keep the garbage collector away from a million planned pairs in the making: it takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _content_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}", remedy=MEASURE_AGAIN) from error


def _refuse_strangers(file: Path, header: RunHeader) -> None:
    """Raise FormatError where RDMA is told of ranks that the run does not have."""
    failures = [failure for outcome in header.outcomes for failure in outcome.failures]
    told = {each.rank for each in header.endpoints} | {
        rank for each in failures for rank in (each.src, each.dst, each.cause.rank)
    }
    if not told <= set(range(len(header.ranks))):
        raise FormatError(f"{file} tells of RDMA on ranks that it does not name", remedy=MEASURE_AGAIN)


def _finished_series(file: Path, header: RunHeader, *, lists: bool) -> "tuple[pl.DataFrame, int]":
    """Return the table, and what the rows moved that are left out of it."""
    import polars as pl

    finished = [outcome.stage for outcome in header.outcomes]
    if not finished:
        return pl.DataFrame(schema=series_schema()), 0
    if not file.exists():
        raise StoreError(
            f"{file} is missing, though {RUN_FILE} counts {len(finished)} finished stages",
            remedy="copying the directory again, with all its files",
        )
    body = _content_of(file)
    left_out_bytes = 0
    if lists or not _has_digest(file, body):
        frame = _table(file, body, series_schema(), "series").filter(pl.col("stage").is_in(finished))
    else:
        frame, left_out_bytes = _judged(file, body, finished)
    faulty = _contradictions(frame, len(header.ranks))
    if faulty:
        raise FormatError(f"{file} has rows with {', '.join(faulty)}", remedy=MEASURE_AGAIN)
    return frame, left_out_bytes


def _judged(file: Path, body: bytes, finished: Sequence[str]) -> "tuple[pl.DataFrame, int]":
    """Return what judging takes of a table with a digest: no warm-up but where data were wrong in it."""
    import polars as pl

    schema = judged_schema()
    with _naming_damage(file):
        rows = pl.scan_parquet(BytesIO(body)).filter(pl.col("stage").is_in(finished))
        _refuse_types(file, rows.collect_schema(), schema, "series")
        is_left_out = ((pl.col("phase") == Phase.WARMUP) & (pl.col("faulty") == 0)).fill_null(value=False)
        is_moving = pl.any_horizontal([pl.col("metric") == metric.value for metric in MOVING_METRICS])
        moved = rows.filter(is_left_out & is_moving).select(
            (pl.col("bytes_per_iteration") * pl.col("iterations")).sum()
        )
        is_right = rows.select(pl.col("faulty").sum()).collect().item() == 0
        # Without faults the phase alone tells, which lets polars pass over whole row groups.
        kept = rows.filter(pl.col("phase").ne_missing(Phase.WARMUP.value) if is_right else ~is_left_out)
        names = [name for name, kind in schema.items() if kind == pl.String]
        # One at a time: as text they would take more memory than all that is kept.
        text = [_as_numbers(kept.select(name).collect().to_series()) for name in names]
        # Mostly all are right, and the lists of what is not then take longer to read than everything else.
        none_wrong = [pl.lit([], dtype=schema["faults"]).alias("faults")] if is_right else []
        read = [name for name in schema if name not in names and not (is_right and name == "faults")]
        frame = kept.select(read).collect().with_columns(*text, *none_wrong)
        return frame.select(schema.names()), int(moved.collect().item())


def _as_numbers(text: "pl.Series") -> "pl.Series":
    """Return names as numbers: they are few, and of millions of rows numbers take a quarter of the memory.

    Neighbouring rows are mostly of one stage and probe, so that each run of them is looked up once.
    """
    import polars as pl

    runs = text.rle()
    numbers = runs.struct.field("value").cast(pl.Categorical)
    lengths = runs.struct.field("len").to_numpy()
    return numbers.gather(np.repeat(np.arange(len(runs), dtype=np.uint32), lengths)).alias(text.name)


def _finished_counters(file: Path, header: RunHeader) -> "pl.DataFrame":
    """Return what was counted; an empty table where the file is missing, as in runs of older versions."""
    import polars as pl

    if not file.exists():
        return pl.DataFrame(schema=counters_schema())
    kept = [*(outcome.stage for outcome in header.outcomes), *IDLE, BETWEEN_READINGS]
    table = _table(file, _content_of(file), counters_schema(), "counters", defaults={"at_least": False})
    frame = table.filter(pl.col("stage").is_in(kept))
    is_odd = pl.any_horizontal(pl.all().exclude("round_index").is_null()) | ~pl.col("rank").is_between(
        0, len(header.ranks) - 1
    )
    if frame.select(is_odd.any()).item():
        raise FormatError(f"{file} has empty cells, or ranks that {RUN_FILE} does not name", remedy=MEASURE_AGAIN)
    return frame


def _finished_gpus(file: Path, header: RunHeader) -> tuple[GpuWindow, ...]:
    """Return what GPUs showed; nothing where the file is missing, as where there is no GPU."""
    import polars as pl

    if not file.exists():
        return ()
    finished = [outcome.stage for outcome in header.outcomes]
    frame = _table(file, _content_of(file), gpus_schema(), "GPUs").filter(pl.col("stage").is_in(finished))
    try:
        windows = windows_of(frame)
    except FormatError as error:
        raise FormatError(f"{file} is not as netprobe writes it: {error}", remedy=MEASURE_AGAIN) from error
    if not all(0 <= each.rank < len(header.ranks) for each in windows):
        raise FormatError(f"{file} tells of ranks that {RUN_FILE} does not name", remedy=MEASURE_AGAIN)
    return windows


def _steps(file: Path, header: RunHeader) -> tuple[StepBin, ...]:
    """Return the seconds of bursts; nothing where the file is missing, as where there were none."""
    if not file.exists():
        return ()
    frame = _table(file, _content_of(file), steps_schema(), "steps")
    try:
        bins = bins_of(frame)
    except FormatError as error:
        raise FormatError(f"{file} is not as netprobe writes it: {error}", remedy=MEASURE_AGAIN) from error
    if not all(0 <= rank < len(header.ranks) for each in bins for rank in (each.late_rank, each.held_rank)):
        raise FormatError(f"{file} tells of ranks that {RUN_FILE} does not name", remedy=MEASURE_AGAIN)
    return bins


def _inventories(file: Path) -> tuple[HostInventory, ...]:
    """Return what hosts are made of; nothing where the file is missing, as in runs of older versions."""
    return _decoded(file, Inventories, INVENTORY_FORMAT).hosts if file.exists() else ()


def _table(
    file: Path, body: bytes, schema: "pl.Schema", what: str, *, defaults: Mapping[str, bool] = MappingProxyType({})
) -> "pl.DataFrame":
    """Return the table with just our columns; a newer netprobe of the same format may have added others.

    ``defaults`` are for columns that older ones did not write.
    """
    import polars as pl

    # From memory: polars would take a path for a pattern, and its KEY=VALUE parts for columns.
    with _naming_damage(file):
        frame = pl.read_parquet(BytesIO(body))
    frame = frame.with_columns(pl.lit(value).alias(name) for name, value in defaults.items() if name not in frame)
    frame = with_later_columns(with_counted_bits(frame))
    _refuse_types(file, frame.schema, schema, what)
    return frame.select(schema.names())


def _refuse_types(file: Path, found: "pl.Schema", wanted: "pl.Schema", what: str) -> None:
    odd = [name for name, kind in wanted.items() if found.get(name) != kind]
    if odd:
        raise FormatError(
            f"{file} is no table of {what}: {', '.join(odd)} missing or of another type", remedy=MEASURE_AGAIN
        )


def _has_digest(file: Path, body: bytes) -> bool:
    """Return whether a table of series tells what judging needs of its lists, which those of older versions do not."""
    import polars as pl

    with _naming_damage(file):
        return not digest_schema().keys() - pl.read_parquet_schema(BytesIO(body)).keys()


@contextmanager
def _naming_damage(file: Path) -> Iterator[None]:
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise FormatError(f"{file} is truncated or damaged: {reason}", remedy=MEASURE_AGAIN) from error


def _contradictions(frame: "pl.DataFrame", ranks: int) -> Sequence[str]:
    """Return what rows say that cannot be, so that no judge has to doubt what it reads."""
    import polars as pl

    bins, counts = pl.col("histogram_bins").list, pl.col("histogram_counts").list
    required = [name for name in frame.columns if name not in NULLABLE]
    claims: dict[str, pl.Expr] = {
        "empty cells": pl.any_horizontal(pl.col(required).is_null()),
        "a metric that is none": pl.lit(not {*frame["metric"].unique().drop_nulls()} <= {*Metric}),
        "a phase that is none": pl.lit(not {*frame["phase"].unique().drop_nulls()} <= {*Phase}),
        "ranks that run.json does not name": ~pl.col("src", "dst").is_between(0, ranks - 1),
        "negative sizes or times": pl.any_horizontal(
            pl.col("size_bytes", "bytes_per_iteration", "iterations", "total_ns", "min_ns", "max_ns") < 0
        ),
    }
    if "samples" in frame:
        median = pl.col("p50_ns")
        is_outside = (median < pl.col("min_ns")) | (median > pl.col("max_ns"))
        claims["medians outside of what was measured"] = is_outside | (pl.col("samples") < 0)
    else:
        claims["histograms of uneven length"] = (bins.len() != counts.len()) | (
            bins.drop_nulls().len() != counts.drop_nulls().len()
        )
    told = frame.select(pl.any_horizontal(claim).any().alias(name) for name, claim in claims.items())
    return [name for name, is_so in told.row(0, named=True).items() if is_so]
