"""Reading the kernel's files and folders: what is not there, not readable or not a count is absent."""

import os
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final

CHUNK_BYTES: Final = 1 << 16  # most files here at once
MOST_CHUNKS: Final = 64  # far beyond any file read here; a bound for a tree that is not the kernel's
LARGEST_COUNT: Final = (1 << 63) - 1  # what counters.parquet can hold
MOST_DIGITS: Final = 19  # of that; int() of a longer text costs time before it fails
WHITE: Final = " \t\r\n"  # str.strip() alone takes separators of records for white space, which no kernel writes
COUNT_BYTES: Final = 32  # of a file with one count; what fills them is something else

_NUMBERS: Final = re.compile(r"(\d+)")


def text_of(path: Path) -> str:
    """Return what is in a file; nothing when it cannot be read."""
    return bytes_of(path).decode("ascii", errors="replace")


def bytes_of(path: Path) -> bytes:
    """Return what is in a file that is no text; nothing when it cannot be read."""
    # Not Path.read_bytes: layers of buffers cost more than the kernel does, around every round.
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError):  # ValueError: a zero byte in a path that came from a file
        return b""
    try:
        parts = iter(lambda: os.read(opened, CHUNK_BYTES), b"")
        return b"".join(islice(parts, MOST_CHUNKS))
    except OSError:
        return b""
    finally:
        os.close(opened)


def word_of(path: Path) -> str | None:
    """Return the one line of a file without the white space around it; None when there is none to read."""
    line = text_of(path).partition("\n")[0].strip()
    return line if line and line.isprintable() and "\ufffd" not in line else None


def is_blank(path: Path) -> bool:
    """Return whether a file can be read and holds nothing, which ``word_of`` does not tell from one that is not there.

    As every file here it is the kernel's, and short.
    """
    try:
        with path.open("rb") as file:
            return not file.read(COUNT_BYTES).strip()
    except (OSError, ValueError):
        return False


def count_of(text: str) -> int | None:
    """Return a decimal count; None for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        return None
    count = int(text)
    return count if count <= LARGEST_COUNT else None


def count_in(path: Path) -> int | None:
    """Return the count that a file holds; None when it holds anything else."""
    return count_of(text_of(path).strip(WHITE))


def counts_by_key(text: str) -> dict[str, int]:
    """Return the counts of a file with one ``name value`` a line (cpu.stat)."""
    fields = (line.split() for line in text.splitlines())
    pairs = ((each[0], count_of(each[1])) for each in fields if len(each) == 2)
    return {name: count for name, count in pairs if count is not None}


def counts_by_file(folder: str, is_wanted: Callable[[str], bool]) -> dict[str, int]:
    """Return the counts of a folder with one in each file, by the file's name; what is no count is absent."""
    # Relative to the opened folder: the kernel walks the long paths of sysfs once, not for each of 60 files.
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        names = [name for name in os.listdir(opened) if name.isprintable() and is_wanted(name)]  # noqa: PTH208
        pairs = [(name, _count_at(opened, name)) for name in names]
    except OSError:
        return {}
    finally:
        os.close(opened)
    return {name: count for name, count in pairs if count is not None}


def _count_at(folder: int, name: str) -> int | None:
    try:
        opened = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    try:
        content = os.read(opened, COUNT_BYTES)
    except OSError:  # EINVAL, EIO: the driver has no answer
        return None
    finally:
        os.close(opened)
    return count_of(content.decode("ascii", errors="replace").strip(WHITE)) if len(content) < COUNT_BYTES else None


def listed(folder: Path) -> list[str]:
    """Return the names in a folder as people count them (mlx5_2 before mlx5_10); raise OSError if it cannot be read."""
    return sorted((name for name in os.listdir(folder) if name.isprintable()), key=_counted)  # noqa: PTH208


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder as people count them; none when it cannot be read."""
    try:
        return listed(folder)
    except (OSError, ValueError):
        return []


def target_of(link: Path, root: Path) -> Path | None:
    """Return where a link leads; None when that is nowhere, or not below the root."""
    try:
        found = link.resolve(strict=True)
        return found if found.is_relative_to(root.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links that lead in a circle, before Python 3.13
        return None


def _counted(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERS.split(name)]
