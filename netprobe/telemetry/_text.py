"""Reading the kernel's text files: what is not there, not readable or not a count is absent."""

import os
from itertools import islice
from pathlib import Path
from typing import Final

CHUNK_BYTES: Final = 1 << 16  # most files here at once
MOST_CHUNKS: Final = 64  # far beyond any file read here; a bound for a tree that is not the kernel's
LARGEST_COUNT: Final = (1 << 63) - 1  # what counters.parquet can hold
MOST_DIGITS: Final = 19  # of that; int() of a longer text costs time before it fails


def text_of(path: Path) -> str:
    """Return what is in a file; nothing when it cannot be read."""
    # Not Path.read_text: layers of buffers and decoders cost more than the kernel does, around every round.
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError):  # ValueError: a zero byte in a path that came from a file
        return ""
    try:
        parts = iter(lambda: os.read(opened, CHUNK_BYTES), b"")
        return b"".join(islice(parts, MOST_CHUNKS)).decode("ascii", errors="replace")
    except OSError:
        return ""
    finally:
        os.close(opened)


def count_of(text: str) -> int | None:
    """Return a decimal count; None for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        return None
    count = int(text)
    return count if count <= LARGEST_COUNT else None


def counts_by_key(text: str) -> dict[str, int]:
    """Return the counts of a file with one ``name value`` a line (cpu.stat)."""
    fields = (line.split() for line in text.splitlines())
    pairs = ((each[0], count_of(each[1])) for each in fields if len(each) == 2)
    return {name: count for name, count in pairs if count is not None}
