"""acknowledged.json in a folder of runs: findings that somebody knows of, the newest for each detector and subject."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netprobe.errors import FormatError, StoreError
from netprobe.model.history import Acknowledgement
from netprobe.store.encoding import from_json, json_document
from netprobe.store.files import write_atomically

FILE: Final = "acknowledged.json"
ACKNOWLEDGED_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Acknowledged:
    format: int
    acknowledged: tuple[Acknowledgement, ...] = ()


def read_acknowledged(root: Path) -> tuple[Acknowledgement, ...]:
    """Return what was acknowledged; nothing where nobody did. StoreError for a file that cannot be read."""
    file = root / FILE
    if not file.exists():
        return ()
    try:
        told = from_json(file.read_bytes(), _Acknowledged)
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}", remedy="its rights") from error
    except FormatError as error:
        raise FormatError(
            f"{file} is damaged: {error}", remedy="mend or move it; it was written in one step"
        ) from error
    if told.format > ACKNOWLEDGED_FORMAT:
        raise FormatError(f"{file} has format {told.format}, which is newer", remedy="pip install --upgrade netprobe")
    if any(each.at.tzinfo is None for each in told.acknowledged):
        raise FormatError(f"{file} has times without a zone", remedy="times such as 2026-11-23T02:00:00Z")
    return told.acknowledged


def acknowledge(root: Path, new: Acknowledgement) -> None:
    """Add one; StoreError where it cannot be written, and then all that were there are still."""
    kept: Sequence[Acknowledgement] = [
        each for each in read_acknowledged(root) if (each.detector, each.subject) != (new.detector, new.subject)
    ]
    record = _Acknowledged(format=ACKNOWLEDGED_FORMAT, acknowledged=(*kept, new))
    try:
        write_atomically(root / FILE, json_document(record))
    except OSError as error:
        raise StoreError(
            f"{root / FILE} cannot be written: {error.strerror}", remedy="the rights of the folder"
        ) from error
