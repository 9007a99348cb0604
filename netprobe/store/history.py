"""A folder of run directories as a history: found on disk each time, so that there is no index that could be wrong.

Runs lie in the folder, or up to three folders deep (a cluster, a month). A link to a directory is not followed.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from netprobe.errors import NetprobeError, StoreError
from netprobe.model.history import Digest, Kind
from netprobe.model.run import RunStatus
from netprobe.store.digest import DIGEST_FORMAT, digest_frame, digest_rows_schema, read_digest_rows, write_digest
from netprobe.store.files import DIGEST_FILE, RUN_FILE

if TYPE_CHECKING:
    import polars as pl

DEEPEST: Final = 3
BASELINES: Final = "baselines"
PLACE: Final = "place"
FILE: Final = "file"
RUN_COLUMNS: Final = ("run", "started", "status", "profile", "verdict")
OTHER_COLUMNS: Final = ("kind", "title", "metric", "subject", "host", "text")
NAME_COLUMNS: Final = ("title", "metric", "unit", "subject", "host")
WHERE: Final = "--runs DIRECTORY, the one that `netprobe check --out` was given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A directory that looks like a run and is not in the history."""

    directory: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """All digests of a folder as tables; ``place`` is the index into ``directories``."""

    directories: tuple[Path, ...]
    runs: "pl.DataFrame"
    """A row for each run: place, run, started, status, profile, verdict."""
    figures: "pl.DataFrame"
    """place, title, subject, value; names as categories."""
    names: "pl.DataFrame"
    """title, metric, unit, subject and host of figures: every title and every subject at least once."""
    others: "pl.DataFrame"
    """Facts and sightings: place, kind, title, metric, subject, host, text."""
    skipped: tuple[Skipped, ...]


def run_directories(root: Path) -> tuple[Path, ...]:
    """Return the run directories of a folder, by name; StoreError when it cannot be read."""
    if not root.is_dir():
        raise StoreError(f"{root} is no directory", remedy=WHERE)
    try:
        return tuple(sorted(_runs_below(root, DEEPEST)))
    except OSError as error:
        raise StoreError(f"{root} cannot be read: {error.strerror}", remedy="the rights of its directories") from error


def _runs_below(directory: Path, depth: int) -> Iterator[Path]:
    with os.scandir(directory) as entries:
        inside = [each for each in entries if not each.name.startswith(".")]
    names = {each.name for each in inside}
    if RUN_FILE in names or DIGEST_FILE in names:
        yield directory
        return
    if depth:
        for each in inside:
            if each.is_dir(follow_symlinks=False) and each.name != BASELINES:
                yield from _runs_below(Path(each.path), depth - 1)


def read_rows(directories: Sequence[Path], make: Callable[[Path], Digest]) -> Rows:
    """Return the digests of these runs; where one is missing or damaged, ``make`` makes it from its run, else skipped.

    What was made is kept beside a run that is closed, as far as the directory may be written.
    """
    places = dict(enumerate(directories))
    there = {place: each for place, each in places.items() if (each / DIGEST_FILE).is_file()}
    scanned = _scanned(there)
    made: dict[int, pl.DataFrame] = {}
    skipped = []
    for place in places if scanned is None else places.keys() - there.keys():
        try:
            made[place] = _one(places[place], make)
        except NetprobeError as error:
            skipped.append(Skipped(directory=places[place], reason=str(error)))
    rows = rows_of_frames(made, directories)
    if scanned is not None:
        both = zip(scanned, (rows.runs, rows.figures, rows.names, rows.others), strict=True)
        runs, figures, names, others = map(_together, both)
        rows = replace(rows, runs=runs, figures=figures, names=names, others=others)
    return replace(rows, skipped=tuple(sorted(skipped, key=lambda each: each.directory)))


def rows_of_frames(frames: "Mapping[int, pl.DataFrame]", directories: Sequence[Path]) -> Rows:
    """Return digests that are in memory, by place."""
    import polars as pl

    none = pl.DataFrame(schema=digest_rows_schema())
    marked = [frame.with_columns(pl.lit(str(place)).alias(FILE)) for place, frame in sorted(frames.items())]
    table = pl.concat(marked or [none.with_columns(pl.lit("").alias(FILE))]).lazy()
    only = lambda files: table.filter(pl.col(FILE).is_in(files))  # noqa: E731 - the same as a scan of these files
    tables = _tables(table, {str(place): place for place in frames}, only)
    if tables is None:
        raise StoreError("digests cannot be put together", remedy="the same version of netprobe for all of them")
    runs, figures, names, others = tables
    return Rows(directories=tuple(directories), runs=runs, figures=figures, names=names, others=others, skipped=())


def _together(parts: "tuple[pl.DataFrame, ...]") -> "pl.DataFrame":
    import polars as pl

    return pl.concat([each for each in parts if len(each)] or parts[:1])


def _scanned(found: Mapping[int, Path]) -> "list[pl.DataFrame] | None":
    """Return the tables of all these files at once, which is many times as fast; None where one of them has trouble."""
    import polars as pl

    if not found:
        return None
    files = {str(directory / DIGEST_FILE): place for place, directory in found.items()}

    def only(names: Sequence[str]) -> pl.LazyFrame:
        scan = pl.scan_parquet(list(names), glob=False, hive_partitioning=False, include_file_paths=FILE)
        return scan.select(*digest_rows_schema().names(), FILE)

    return _tables(only(list(files)), files, only)


def _tables(
    rows: "pl.LazyFrame", places: Mapping[str, int], only: "Callable[[Sequence[str]], pl.LazyFrame]"
) -> "list[pl.DataFrame] | None":
    """Return the tables of Rows; ``rows`` are in the order of ``places``, by file. None where a file has trouble.

    ``only`` returns the rows of some of the files.
    """
    import polars as pl

    is_figure = pl.col("value").is_not_null()  # of the others none has one; quicker than to compare millions of words
    place = pl.col(FILE).replace_strict(places, return_dtype=pl.Int64, default=None).alias(PLACE)
    by_name = [pl.col(name).cast(pl.Categorical) for name in ("title", "subject")]
    try:
        figures, others = pl.collect_all(
            [
                rows.filter(is_figure).select(*by_name, "value"),
                rows.filter(~is_figure).select(place, *RUN_COLUMNS, "format", "samples", *OTHER_COLUMNS),
            ]
        )
        runs = others.filter(pl.col("kind") == Kind.RUN.value).select(PLACE, *RUN_COLUMNS, "format", "samples")
        others = others.filter(pl.col("kind").is_in([Kind.FACT.value, Kind.FINDING.value])).select(
            PLACE, *OTHER_COLUMNS
        )
        if not _is_whole(runs, figures, len(places)):
            return None
        # Names of files are long: millions of rows are told by how many each file has.
        told = np.repeat(runs[PLACE].to_numpy(), runs["samples"].to_numpy())
        figures = figures.with_columns(pl.Series(PLACE, told, dtype=pl.Int64))
        named = only(_last_files(figures, {number: name for name, number in places.items()}))
        names = named.filter(is_figure).select(NAME_COLUMNS).unique().collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return None
    return [runs.drop("format", "samples"), figures, names, others]


def _is_whole(runs: "pl.DataFrame", figures: "pl.DataFrame", files: int) -> bool:
    """Return whether each file has told of one run, in a format that is known, and of all its figures."""
    if not files:
        return True
    if len(runs) != files or runs.select("run", "started", "format", "samples").null_count().sum_horizontal().item():
        return False
    return runs["format"].to_numpy().max() <= DIGEST_FORMAT and int(runs["samples"].sum()) == len(figures)


def _last_files(figures: "pl.DataFrame", file_of: Mapping[int, str]) -> list[str]:
    """Return the last file that has each title and each subject: mostly one, and seldom more than few."""
    last: set[int] = set()
    for name in ("title", "subject"):
        codes = figures[name].to_physical().to_numpy()
        newest = np.full(int(codes.max()) + 1 if len(codes) else 0, -1, dtype=np.int64)
        newest[codes] = figures[PLACE].to_numpy()  # ascending, so that the newest is written last
        last |= set(newest.tolist()) - {-1}
    return [file_of[place] for place in sorted(last)] or list(file_of.values())[-1:]


def _one(directory: Path, make: Callable[[Path], Digest]) -> "pl.DataFrame":
    """Return the rows of a run: read, or made anew where that fails."""
    file = directory / DIGEST_FILE
    if file.is_file():
        try:
            return read_digest_rows(file)
        except StoreError:
            if not (directory / RUN_FILE).is_file():
                raise
    digest = make(directory)
    keep_digest(directory, digest)
    return digest_frame(digest)


def keep_digest(directory: Path, digest: Digest) -> None:
    """Put a digest beside its run, once that is closed; a folder that may only be read, or is full, does without."""
    if digest.status is RunStatus.RUNNING:
        return
    with suppress(OSError):
        write_digest(directory / DIGEST_FILE, digest)
