"""A folder of run directories as a history: found on disk each time, so that there is no index that could be wrong.

Runs lie in the folder, or up to three folders deep (a cluster, a month). A link to a directory is not followed.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
RUN_COLUMNS: Final = ("run", "started", "status", "profile", "verdict")
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
    """Each distinct title, metric, unit, subject and host of the figures."""
    others: "pl.DataFrame"
    """Facts and sightings, with all columns of a digest."""
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
    import polars as pl

    places = dict(enumerate(directories))
    there = {place: each for place, each in places.items() if (each / DIGEST_FILE).is_file()}
    scanned = _tables(_scan(there)) if there else None
    frames, skipped = [pl.DataFrame(schema={**digest_rows_schema(), PLACE: pl.Int64})], []
    for place in places if scanned is None else places.keys() - there.keys():
        try:
            frame = _one(places[place], make)
        except NetprobeError as error:
            skipped.append(Skipped(directory=places[place], reason=str(error)))
            continue
        frames.append(frame.with_columns(pl.lit(place, dtype=pl.Int64).alias(PLACE)))
    made = rows_of_frames(frames, directories)
    if scanned is not None:
        both = zip(scanned, (made.runs, made.figures, made.names, made.others), strict=True)
        runs, figures, names, others = map(_together, both)
        made = replace(made, runs=runs, figures=figures, names=names.unique(), others=others)
    return replace(made, skipped=tuple(sorted(skipped, key=lambda each: each.directory)))


def rows_of_frames(frames: "Sequence[pl.DataFrame]", directories: Sequence[Path]) -> Rows:
    """Return digests that are in memory, each with its place."""
    import polars as pl

    tables = _tables(pl.concat(frames).lazy())
    if tables is None:
        raise StoreError("digests cannot be put together", remedy="the same version of netprobe for all of them")
    runs, figures, names, others = tables
    return Rows(
        directories=tuple(directories), runs=runs, figures=figures, names=names, others=others, skipped=()
    )  # fmt: skip


def _together(parts: "tuple[pl.DataFrame, ...]") -> "pl.DataFrame":
    import polars as pl

    return pl.concat([each for each in parts if len(each)] or parts[:1])


def _scan(found: Mapping[int, Path]) -> "pl.LazyFrame":
    import polars as pl

    files = {str(directory / DIGEST_FILE): place for place, directory in found.items()}
    scan = pl.scan_parquet(list(files), glob=False, hive_partitioning=False, include_file_paths="file")
    place = pl.col("file").replace_strict(files, return_dtype=pl.Int64).alias(PLACE)
    return scan.select(*digest_rows_schema().names(), place)


def _tables(rows: "pl.LazyFrame") -> "list[pl.DataFrame] | None":
    """Return the tables of Rows, in one reading of all files; None where a file has trouble."""
    import polars as pl

    is_figure = pl.col("kind") == Kind.FIGURE.value
    by_name = [pl.col(name).cast(pl.Categorical) for name in ("title", "subject")]
    own = pl.col(RUN_COLUMNS).first()
    try:
        runs, figures, names, others = pl.collect_all(
            [
                rows.group_by(PLACE).agg(own, pl.col("format").max()),
                rows.filter(is_figure).select(PLACE, *by_name, "value"),
                rows.filter(is_figure).select(NAME_COLUMNS).unique(),
                rows.filter(~is_figure),
            ]
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return None
    if len(runs) and (runs["format"].null_count() or runs["format"].to_numpy().max() > DIGEST_FORMAT):
        return None
    return [runs.drop("format"), figures, names, others]


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
