"""A rank's position in memory of its own that its host can read through /proc, even while the rank hangs.

Nothing is left behind: the memory goes with the process. A rank that is stopped, or that never returns from a call into
MPI, can be asked where it is without its help.
"""

import mmap
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from netprobe.errors import FormatError
from netprobe.model.standing import Position
from netprobe.store.encoding import from_json, json_line

NAME: Final = "netprobe-position"
OPENING: Final = "opening GPUs"
"""Where a rank is that opens its GPU: it may be there for a minute, in calls that let nobody else run."""
RANK_WORDS: Final = (b"-P", b"-m", b"netprobe.session")
"""Behind the interpreter in a rank's command line; launchers hold the same words further back."""
ROOM_BYTES: Final = 1024  # a stage id and a host name fit many times
_HEADER: Final = struct.Struct("=QI")  # steps, bytes of the position that follows


class SharedWhereabouts:
    """contracts.Whereabouts for a process; where the system has no memfd it notes nothing."""

    def __init__(self, host: str) -> None:
        self._rank: int | None = None
        self._host = host
        self._steps = 0
        self._memory: mmap.mmap | bytearray = _memory()
        self.meets()

    def known_as(self, rank: int, host: str) -> None:
        """See contracts.Whereabouts."""
        self._rank, self._host = rank, host

    def meets(self) -> None:
        """See contracts.Whereabouts."""
        self._note(None, None, None, is_measuring=False)

    def waits(self, stage: str, round_index: int, _expected_ns: int) -> None:
        """See contracts.Whereabouts."""
        self._note(stage, round_index, None, is_measuring=False)

    def measures(self, stage: str, round_index: int, peer: int | None) -> None:
        """See contracts.Whereabouts."""
        self._note(stage, round_index, peer, is_measuring=True)

    def step(self) -> None:
        """See contracts.Whereabouts."""
        self._steps += 1
        struct.pack_into("=Q", self._memory, 0, self._steps)

    def _note(self, stage: str | None, round_index: int | None, peer: int | None, *, is_measuring: bool) -> None:
        position = Position(
            rank=self._rank,
            host=self._host,
            stage=stage,
            round_index=round_index,
            peer=peer,
            is_measuring=is_measuring,
            steps=self._steps,
        )
        text = json_line(position)[: ROOM_BYTES - _HEADER.size]
        self._steps += 1
        self._memory[: _HEADER.size + len(text)] = _HEADER.pack(self._steps, len(text)) + text


class Unwatched:
    """contracts.Whereabouts for ranks that nobody would ask: threads of one process."""

    def known_as(self, rank: int, host: str) -> None:
        """See contracts.Whereabouts."""

    def meets(self) -> None:
        """See contracts.Whereabouts."""

    def waits(self, stage: str, round_index: int, _expected_ns: int) -> None:
        """See contracts.Whereabouts."""

    def measures(self, stage: str, round_index: int, peer: int | None) -> None:
        """See contracts.Whereabouts."""

    def step(self) -> None:
        """See contracts.Whereabouts."""


def position_of(process: Path) -> Position | None:
    """Return where the process of a /proc directory is; None when it has noted nothing, or may not be looked at."""
    with suppress(OSError):
        for link in (process / "fd").iterdir():
            if NAME in str(link.readlink()):
                return _position(link.read_bytes())
    return None


def _position(content: bytes) -> Position | None:
    if len(content) < _HEADER.size:
        return None
    steps, length = _HEADER.unpack_from(content)
    try:
        noted = from_json(content[_HEADER.size : _HEADER.size + length], Position)
    except FormatError:  # read in the middle of a note
        return None
    return Position(
        rank=noted.rank,
        host=noted.host,
        stage=noted.stage,
        round_index=noted.round_index,
        peer=noted.peer,
        is_measuring=noted.is_measuring,
        steps=steps,
    )


def _memory() -> mmap.mmap | bytearray:
    try:
        descriptor = os.memfd_create(NAME)
    except (AttributeError, OSError):
        return bytearray(ROOM_BYTES)
    os.ftruncate(descriptor, ROOM_BYTES)
    # The descriptor stays open: it is the name under which others find the memory.
    return mmap.mmap(descriptor, ROOM_BYTES)
