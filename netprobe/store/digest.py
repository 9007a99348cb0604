"""digest.parquet: what history keeps of a run, one row for each figure, fact of a host, and subject of a finding.

A long table with the run's own columns in every row, so that one query reads all nights; those columns compress to
nothing. A row uses the columns that it needs, null elsewhere (docs/history.md).
"""

from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from netprobe.errors import FormatError, StoreError
from netprobe.model.finding import Severity
from netprobe.model.history import Baseline, Digest, Figure, HostFact, Kind, Sighting, Unit
from netprobe.model.run import RunStatus
from netprobe.model.verdict import Verdict
from netprobe.store.files import write_atomically

if TYPE_CHECKING:
    import polars as pl

DIGEST_FORMAT: Final = 1
"""Raised when an older netprobe could misread the file; new columns do not raise it."""
AGAIN: Final = "delete it: history makes it again from the run"


@cache
def digest_rows_schema() -> "pl.Schema":
    """Return the columns of digest.parquet and their types."""
    import polars as pl

    columns: dict[str, pl.DataType | type[pl.DataType]] = {
        "format": pl.Int64,
        "run": pl.String,
        "started": pl.Datetime("ms", "UTC"),
        "status": pl.String,
        "profile": pl.String,
        "verdict": pl.String,
        "kind": pl.String,
        "title": pl.String,
        "metric": pl.String,
        "subject": pl.String,
        "host": pl.String,
        "unit": pl.String,
        "value": pl.Float64,
        "mad": pl.Float64,
        "samples": pl.Int64,
        "text": pl.String,
    }
    return pl.Schema(columns)


def digest_frame(digest: Digest) -> "pl.DataFrame":
    """Return the rows of a digest: figures, facts (title, text), sightings (title: detector, metric: severity)."""
    import polars as pl

    rows = [
        {"kind": Kind.RUN, "samples": len(digest.figures)},
        *({"kind": Kind.FIGURE, **_fields_of(each)} for each in digest.figures),
        *({"kind": Kind.FACT, "host": each.host, "title": each.name, "text": each.value} for each in digest.facts),
        *(
            {
                "kind": Kind.FINDING,
                "title": each.detector,
                "metric": each.severity,
                "subject": each.subject,
                "host": each.host,
                "text": each.summary,
            }
            for each in digest.sightings
        ),
    ]
    own = {
        "format": DIGEST_FORMAT,
        "run": digest.run,
        "started": digest.started,
        "status": digest.status.value,
        "profile": digest.profile,
        "verdict": None if digest.verdict is None else digest.verdict.value,
    }
    schema = digest_rows_schema()
    columns = {name: [_plain({**own, **row}.get(name)) for row in rows] for name in schema}
    return pl.DataFrame(columns, schema=schema)


def _fields_of(figure: Figure) -> dict[str, Any]:
    return {name: getattr(figure, name) for name in Figure.__slots__}


def _plain(value: object) -> object:
    """Return text that Parquet takes: host names may hold bytes that are no UTF-8."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "replace").decode("utf-8")


def write_digest(path: Path, digest: Digest, *, baseline: tuple[str, datetime] | None = None) -> None:
    """Write the file in one step; OSError leaves what was there. ``baseline``: its name, and when it was set."""
    import polars as pl

    frame = digest_frame(digest)
    if baseline is not None:
        name, at = baseline
        row = {"kind": Kind.BASELINE.value, "title": name, "text": at.astimezone(UTC).isoformat()}
        own = frame.row(0, named=True)
        kept = {each: own[each] for each in ("format", "run", "started", "status", "profile", "verdict")}
        frame = pl.concat([pl.DataFrame([{**kept, **row}], schema=digest_rows_schema()), frame])
    table = BytesIO()
    frame.write_parquet(table)
    write_atomically(path, table.getvalue())


def read_digest(path: Path) -> Digest:
    """Return the digest in a file; StoreError when there is none that can be read."""
    return _digest_of(read_digest_rows(path), path)


def read_baseline_file(path: Path) -> Baseline:
    """Return the baseline in a file; StoreError when there is none that can be read."""
    frame = read_digest_rows(path)
    own = frame.filter(frame["kind"] == Kind.BASELINE.value)
    if own.is_empty():
        raise FormatError(f"{path} is no baseline", remedy="netprobe baseline set NAME RUN")
    row = own.row(0, named=True)
    try:
        set_at = datetime.fromisoformat(row["text"])
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path} does not say when it was set", remedy="netprobe baseline set NAME RUN") from error
    return Baseline(name=row["title"], set_at=set_at, digest=_digest_of(frame, path))


def read_digest_rows(path: Path) -> "pl.DataFrame":
    """Return the rows of a file, our columns alone; StoreError when there are none that can be read."""
    import polars as pl

    try:
        # From memory: polars would take a path for a pattern.
        frame = pl.read_parquet(BytesIO(path.read_bytes()))
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", remedy=AGAIN) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise FormatError(f"{path} is truncated or damaged", remedy=AGAIN) from error
    _refuse_strangers(path, frame)
    return frame.select(digest_rows_schema().names())


def _refuse_strangers(path: Path, frame: "pl.DataFrame") -> None:
    odd = [name for name, kind in digest_rows_schema().items() if frame.schema.get(name) != kind]
    if odd or frame.is_empty():
        raise FormatError(f"{path} is no digest: {', '.join(odd) or 'no rows'}", remedy=AGAIN)
    newest = frame["format"].max()
    if not isinstance(newest, int) or newest > DIGEST_FORMAT:
        raise FormatError(
            f"{path} has format {newest!r}; this netprobe reads up to {DIGEST_FORMAT}",
            remedy="pip install --upgrade netprobe",
        )


def _digest_of(frame: "pl.DataFrame", path: Path) -> Digest:
    first = frame.row(0, named=True)
    try:
        return Digest(
            run=first["run"],
            started=first["started"],
            status=RunStatus(first["status"]),
            profile=first["profile"],
            verdict=None if first["verdict"] is None else Verdict(first["verdict"]),
            figures=tuple(_figure(row) for row in _rows(frame, Kind.FIGURE)),
            facts=tuple(
                HostFact(host=row["host"], name=row["title"], value=row["text"])
                for row in _rows(frame, Kind.FACT)
                if row["host"] is not None
            ),
            sightings=tuple(_sighting(row) for row in _rows(frame, Kind.FINDING)),
        )
    except ValueError as error:
        raise FormatError(f"{path} is not as netprobe writes it: {error}", remedy=AGAIN) from error


def _rows(frame: "pl.DataFrame", kind: Kind) -> list[dict[str, Any]]:
    return frame.filter(frame["kind"] == kind.value).to_dicts()


def _figure(row: dict[str, Any]) -> Figure:
    return Figure(**{**{name: row[name] for name in Figure.__slots__}, "unit": Unit(row["unit"])})


def _sighting(row: dict[str, Any]) -> Sighting:
    return Sighting(
        detector=row["title"],
        severity=Severity(row["metric"]),
        subject=row["subject"],
        host=row["host"],
        summary=row["text"],
    )
