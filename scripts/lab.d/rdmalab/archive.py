"""An initial file system for Linux: a cpio archive in the format that its documentation calls newc. Pure."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_MAGIC: Final = "070701"
_TRAILER: Final = "TRAILER!!!"
_ALIGNMENT_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, or a directory when it has no content."""

    path: str
    """Relative, without a leading dot."""
    content: bytes | None = None

    @property
    def mode(self) -> int:
        """Everything may be run, and looked into."""
        return (stat.S_IFDIR if self.content is None else stat.S_IFREG) | 0o755


def archive(entries: Iterable[Entry]) -> bytes:
    """Return the archive of these entries in their order; a directory has to come before what is in it."""
    members = [
        _member(entry.path, entry.content or b"", entry.mode, number) for number, entry in enumerate(entries, start=1)
    ]
    return b"".join([*members, _member(_TRAILER, b"", 0, 0)])


def _member(path: str, content: bytes, mode: int, inode: int) -> bytes:
    name = path.encode() + b"\0"
    links, modified_s, major_minor, checksum = 1, 0, (0, 0, 0, 0), 0
    fields = (inode, mode, 0, 0, links, modified_s, len(content), *major_minor, len(name), checksum)
    header = (_MAGIC + "".join(f"{field:08x}" for field in fields)).encode()
    return _padded(header + name) + _padded(content)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % _ALIGNMENT_BYTES)
