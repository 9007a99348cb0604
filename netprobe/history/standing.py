"""How each finding of the nights stands: open, open again, closed by somebody, or not seen any more."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from netprobe.history.detectors.recurring import ID, open_findings
from netprobe.model.history import History, Seen
from netprobe.model.limits import Limits


class State(StrEnum):
    """What became of a finding."""

    OPEN = "open"
    AGAIN = "open again"
    CLOSED = "closed"
    QUIET = "not seen lately"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A finding of some nights, and what became of it."""

    seen: Seen
    state: State
    opened: int
    """The night since which it is, or was, open: the first after it was closed, or forgotten for sticky_nights."""
    closed_at: datetime | None
    """When somebody closed it last."""

    @property
    def is_open(self) -> bool:
        """Whether it still counts."""
        return self.state in (State.OPEN, State.AGAIN)


def standings(history: History, limits: Limits) -> Iterator[Standing]:
    """Yield all findings that any night reported: what is open first, then the newest."""
    is_open = {(each.seen.detector, each.seen.subject) for each in open_findings(history, limits)}
    told = [
        _standing(history, seen, int(limits.sticky_nights), is_open=(seen.detector, seen.subject) in is_open)
        for seen in history.seen
    ]
    yield from sorted(told, key=lambda each: (not each.is_open, -each.seen.nights[-1], -len(each.seen.nights)))


def _standing(history: History, seen: Seen, sticky_nights: int, *, is_open: bool) -> Standing:
    moments = [at for name in (seen.detector, ID) if (at := history.acknowledged.get((name, seen.subject)))]
    closed_at = max(moments, default=None)
    starts = [
        later
        for earlier, later in pairwise(seen.nights)
        if later - earlier > sticky_nights or (closed_at and _between(history, earlier, closed_at, later))
    ]
    if is_open:
        state = State.AGAIN if starts else State.OPEN
    else:
        state = State.CLOSED if closed_at and history.nights[seen.nights[-1]].started <= closed_at else State.QUIET
    return Standing(seen=seen, state=state, opened=starts[-1] if starts else seen.nights[0], closed_at=closed_at)


def _between(history: History, earlier: int, moment: datetime, later: int) -> bool:
    return history.nights[earlier].started <= moment < history.nights[later].started
