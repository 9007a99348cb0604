"""Outputs that are known and tell nothing that is judged here: names of files without values."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from netprobe.ingest.pasted import Line
from netprobe.ingest.ports_text import SHARED
from netprobe.ingest.told import Place, Told, Unjudged

FILE_NAME: Final = re.compile(r"\s{0,64}/sys/class/(?:infiniband|net)/[\w.-]{1,64}/[^\s:=]{1,256}\s*$")
KINDS: Final = {
    FILE_NAME: "names of files in sysfs without their values",
}


class NotJudged:
    """Counts the lines of each kind."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lines: Counter[str] = Counter()

    def take(self, line: Line) -> bool:
        """Note a line of one of the kinds."""
        if SHARED.match(line.text):
            return False  # a name that tells which interface a device has
        kind = next((what for pattern, what in KINDS.items() if pattern.match(line.text)), None)
        if kind is not None:
            self._lines[kind] += 1
        return kind is not None

    def take_json(self, line: Line, value: dict[str, object]) -> bool:  # noqa: ARG002
        """Return False: there is none."""
        return False

    def told(self) -> Iterator[Told]:
        """Yield each kind with its lines."""
        return (Unjudged(file=self._place.file, what=what, lines=lines) for what, lines in self._lines.items())
