"""Making room: the files of one run directory removed, those that history needs last or not at all.

When this is cut short, what is left is a run with a digest, and the same command goes on with it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from netprobe.errors import StoreError
from netprobe.store.files import (
    COUNTERS_FILE,
    DIGEST_FILE,
    EVENTS_FILE,
    GPUS_FILE,
    HOSTS_FILE,
    INVENTORY_FILE,
    PAGE_FILE,
    REPORT_FILE,
    RUN_FILE,
    SERIES_FILE,
)

BULK: Final = (
    PAGE_FILE, HOSTS_FILE, SERIES_FILE, COUNTERS_FILE, GPUS_FILE, EVENTS_FILE, INVENTORY_FILE, RUN_FILE
)  # fmt: skip
"""In the order in which they go."""
KEPT: Final = (REPORT_FILE, DIGEST_FILE)


def bytes_of(directory: Path, *, whole: bool) -> int:
    """Return how much room a removal would make."""
    return sum(file.lstat().st_size for file in _files(directory, whole=whole))


def remove_run(directory: Path, *, whole: bool) -> int:
    """Remove the files that netprobe wrote, and the directory once it is empty; return the bytes.

    A run that has no digest keeps everything unless it goes as a whole. StoreError where a file cannot be removed.
    """
    freed = 0
    for file in _files(directory, whole=whole):
        try:
            size = file.lstat().st_size
            file.unlink()
        except OSError as error:
            raise StoreError(
                f"{file} cannot be removed: {error.strerror}", remedy="the rights of its folder"
            ) from error
        freed += size
    if whole and not any(directory.iterdir()):
        directory.rmdir()
    return freed


def _files(directory: Path, *, whole: bool) -> Iterator[Path]:
    if not whole and not (directory / DIGEST_FILE).is_file():
        return
    for name in (*BULK, *(KEPT if whole else ())):
        if (directory / name).is_file():
            yield directory / name
