"""Text as people paste it: lines of several hosts or ranks mixed, each with a prefix, cut anywhere, with CRLF.

mpirun writes ``[1,0]<stdout>:``, srun ``0: ``, pdsh and clush ``node3: `` before what a process printed.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from netprobe.model.finding import Gap

RANK: Final = re.compile(r"(\[\d+,\d+\](?:<std\w{0,3}>)?):?")
NAME: Final = re.compile(r"([A-Za-z0-9][\w.-]{0,252}):(?: |$)")
MOST_SHOWN: Final = 60
JSON_START: Final = re.compile(r"[ \t,]*+(?=\[?+[ \t]*+\{)")  # possessive: a long run of spaces is looked at once
MOST_BROKEN: Final = 100  # objects that break off before the rest is taken for plain text: looking for each costs time


class NoJson(Enum):
    """What a line holds instead of a JSON value."""

    TEXT = "text"
    BROKEN = "broken"
    """The start of an object that breaks off or is no JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line without its prefix."""

    number: int
    """In the file, from 1."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """All lines with one prefix: what one process printed."""

    prefix: str | None
    """``node3``, ``[1,0]<stdout>``; None for lines without."""
    lines: tuple[Line, ...]

    @property
    def host(self) -> str | None:
        """The prefix, where it names a host rather than a rank."""
        return None if self.prefix is None or self.prefix[0] == "[" or self.prefix.isdigit() else self.prefix


def streams(text: str, own_words: Collection[str] = ()) -> tuple[Stream, ...]:
    """Return the lines by prefix, in order; ``own_words`` begin lines of the format itself and are no prefix."""
    found: dict[str | None, list[Line]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        prefix, rest = _split(line, own_words)
        found.setdefault(prefix, []).append(Line(number=number, text=rest))
    return tuple(Stream(prefix=prefix, lines=tuple(lines)) for prefix, lines in found.items())


def pieces(lines: Sequence[Line]) -> Iterator[tuple[Line, object]]:
    """Yield each line with the JSON value that starts there, or with what it is instead.

    Lines within a value are passed over; of several values that start on one line each is yielded.
    """
    whole = "\n".join(line.text for line in lines)
    start, resume, broken = 0, 0, 0
    for line in lines:
        end = start + len(line.text)
        resume = max(resume, start)
        if resume == start and (broken >= MOST_BROKEN or not JSON_START.match(line.text)):
            yield line, NoJson.TEXT
        while broken < MOST_BROKEN and resume <= end and (match := JSON_START.match(whole, resume)):
            value, resume = _decode(whole, match.end())
            broken += value is NoJson.BROKEN
            yield line, value
        start = end + 1


def _decode(text: str, start: int) -> tuple[object, int]:
    """Return a value and where it ends; what is no JSON ends with the line in which that shows."""
    try:
        return json.JSONDecoder().raw_decode(text, start)
    except json.JSONDecodeError as error:
        end = text.find("\n", error.pos)
        return NoJson.BROKEN, len(text) if end < 0 else end
    except (ValueError, RecursionError):  # numbers or nesting beyond all measure: not pasted, but made
        return NoJson.BROKEN, len(text)


def unread(topic: str, origin: str, lines: Sequence[Line]) -> Gap | None:
    """Return one gap for all lines of a file that could not be understood; None when there are none."""
    if not lines:
        return None
    first = min(lines, key=lambda line: line.number)
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return Gap(
        topic=topic,
        reason=f"{origin} line {first.number}{more} cannot be read: {first.text.strip()[:MOST_SHOWN]!r}",
        remedy="hand over the whole output, unchanged",
    )


def _split(line: str, own_words: Collection[str]) -> tuple[str | None, str]:
    match = RANK.match(line) or NAME.match(line)
    if match is None or match[1] in own_words:
        return None, line
    return match[1], line[match.end() :]
