"""The files of a run directory, and writing one so that a reader sees the old or the new content, never a part."""

import os
from pathlib import Path
from typing import Final

RUN_FILE: Final = "run.json"
SERIES_FILE: Final = "series.parquet"
COUNTERS_FILE: Final = "counters.parquet"
GPUS_FILE: Final = "gpus.parquet"
STEPS_FILE: Final = "steps.parquet"
EVENTS_FILE: Final = "events.jsonl"
INVENTORY_FILE: Final = "inventory.json"
REPORT_FILE: Final = "report.json"
DIGEST_FILE: Final = "digest.parquet"
PAGE_FILE: Final = "report.html"
"""Written beside the run by ``netprobe nightly``; some megabytes."""
HOSTS_FILE: Final = "gate.hosts"
"""The hosts that ``netprobe gate`` let through."""


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content and wait until the disk has it; OSError leaves what was there before."""
    # In the same directory, since a rename is atomic only within a file system; hidden, so that globs skip leftovers.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # on a full disk, the room that the other files need
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
