"""Follow a guest from its start to its end: its news, what the command prints, and its last words if it dies."""

import os
import re
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from rdmalab.qemu import Guest

BOOT_S: Final = 90.0
"""Without a sign of life: some 6 s where the machine is quiet, 20 s where it is not."""
HOSTS_S: Final = 120.0
"""To set the hosts up."""
_OFF_S: Final = 20.0
_CHUNK_BYTES: Final = 1 << 16
_LAST_WORDS: Final = re.compile(r"Oops.*|BUG.*|Kernel panic.*")

Relay = Callable[[bytes], None]


@dataclass(slots=True, kw_only=True)
class Course:
    """How far a guest came, in seconds of this process' clock; None where it never came."""

    started_s: float
    up_s: float | None = None
    ready_s: float | None = None
    """The hosts are there, and the command begins."""
    ended_s: float | None = None
    code: int | None = None
    """The command's exit code."""
    failure: str | None = None
    """Why the hosts could not be set up."""
    is_late: bool = False
    """True when it was ended because it took too long."""
    console: bytearray = field(default_factory=bytearray)
    complaint: str = ""
    """What qemu itself said first."""
    _begun: bytes = b""
    """News of which the end of the line has not come yet."""

    def last_words(self) -> str:
        """Return why the guest died, as far as it said so."""
        said = last_words(self.console.decode(errors="replace"))
        return said or self.complaint or ("no sign of life" if self.up_s is None else "it went off without a word")

    def deadline_s(self, limit_s: float) -> float:
        """Return until when the next news have to come, given the command's own limit."""
        if self.ended_s is not None:
            return self.ended_s + _OFF_S
        if self.ready_s is not None:
            return self.ready_s + limit_s
        return self.started_s + BOOT_S if self.up_s is None else self.up_s + HOSTS_S

    def hear(self, part: bytes) -> None:
        """Take some news, as they come."""
        *lines, self._begun = (self._begun + part).split(b"\n")
        for line in lines:
            self._note(line.decode(), time.monotonic())

    def _note(self, line: str, now_s: float) -> None:
        word, _, rest = line.partition(" ")
        if word == "up":
            self.up_s = now_s
        elif word == "ready":
            self.ready_s = now_s
        elif word == "failed":
            self.failure = rest
        elif word == "ended":
            self.ended_s, self.code = now_s, int(rest)


def follow(guest: Guest, limit_s: float, relay: Relay) -> Course:
    """Return once the guest is off, or has to be, and hand over what the command prints as it comes."""
    course = Course(started_s=time.monotonic())
    takers: dict[int, Relay] = {guest.console: course.console.extend, guest.news: course.hear, guest.output: relay}
    with selectors.DefaultSelector() as selector:
        for file, take in takers.items():
            selector.register(file, selectors.EVENT_READ, take)
        while selector.get_map():
            ready = selector.select(max(0.0, course.deadline_s(limit_s) - time.monotonic()))
            if not ready:
                course.is_late = course.ended_s is None
                break
            for key, _ in ready:
                part = os.read(key.fd, _CHUNK_BYTES)
                if part:
                    key.data(part)
                else:
                    selector.unregister(key.fd)
    course.complaint = _first_line(guest)
    return course


def last_words(console: str) -> str | None:
    """Return why a kernel died: what the first program said before, or what it says itself; None when it does not."""
    lines = console.replace("\r", "").splitlines()
    for before, line in pairwise(["[", *lines]):
        found = _LAST_WORDS.search(line)
        if found is not None:
            return found[0].strip() if before.startswith("[") else before
    return None


def _first_line(guest: Guest) -> str:
    guest.complaints.seek(0)
    return guest.complaints.readline().decode(errors="replace").strip()
