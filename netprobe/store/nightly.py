"""nightly.json in a folder of runs: what was told of the last night, so that the next one tells only what is new."""

from pathlib import Path
from typing import Final

from netprobe.errors import FormatError, StoreError
from netprobe.model.nightly import TOLD_FORMAT, Standing, Told
from netprobe.store.encoding import from_json, json_document
from netprobe.store.files import write_atomically

FILE: Final = "nightly.json"
LOCK: Final = "nightly.lock"
HISTORY_TEXT: Final = "history.txt"
HISTORY_PAGE: Final = "history.html"


def read_told(folder: Path) -> Standing | None:
    """Return what was told last; None where nothing was. StoreError for a file that cannot be read."""
    file = folder / FILE
    try:
        told = from_json(file.read_bytes(), Told)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}", remedy="its rights") from error
    except FormatError as error:
        raise FormatError(f"{file} is damaged: {error}", remedy="delete it: the next night tells everything") from error
    if told.format > TOLD_FORMAT:
        raise FormatError(f"{file} has format {told.format}, which is newer", remedy="pip install --upgrade netprobe")
    return told.standing


def write_told(folder: Path, standing: Standing) -> None:
    """Replace what was told, in one step; StoreError where it cannot be written, and the old one is still there."""
    file = folder / FILE
    try:
        write_atomically(file, json_document(Told(format=TOLD_FORMAT, standing=standing)))
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}", remedy="room, and the rights of it") from error
