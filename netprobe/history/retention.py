"""Which runs may go: old ones that no baseline and no open finding rests on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from netprobe.history.detectors.missing import absences
from netprobe.history.detectors.recurring import open_findings
from netprobe.history.levels import fleet_levels_of, levels_of, losses
from netprobe.model.history import History
from netprobe.model.limits import Limits


class Keep(StrEnum):
    """Why a run stays."""

    YOUNG = "young enough"
    NEWEST = "the newest run"
    BASELINE = "a baseline was made of it"
    OPEN = "an open finding rests on it"
    UNREADABLE = "it cannot be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A run directory that is in the history."""

    directory: Path
    run: str
    started: datetime
    never_ended: bool = False
    """A program that was killed left it behind: history needs nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What goes and what stays."""

    goes: tuple[Candidate, ...]
    stays: tuple[tuple[Candidate, Keep], ...]


def retention(
    candidates: Sequence[Candidate], *, before: datetime, baselines: Iterable[str], open_runs: Iterable[str]
) -> Retention:
    """Return which runs go: those that began before a moment, unless something rests on them."""
    held, resting = set(baselines), set(open_runs)
    newest = max((each.started for each in candidates), default=None)
    goes, stays = [], []
    for each in sorted(candidates, key=lambda one: (one.started, one.run)):
        reason = (
            Keep.BASELINE
            if each.run in held
            else Keep.OPEN
            if each.run in resting
            else Keep.NEWEST
            if each.started == newest
            else Keep.YOUNG
            if each.started >= before
            else None
        )
        if reason is None:
            goes.append(each)
        else:
            stays.append((each, reason))
    return Retention(goes=tuple(goes), stays=tuple(stays))


def runs_of_open_findings(history: History, limits: Limits) -> set[str]:
    """Return the runs that open findings rest on: where they were seen, and the nights before and after a step."""
    nights = {night for each in open_findings(history, limits) for night in each.nights}
    levels = (*levels_of(history, limits), *fleet_levels_of(history, limits))
    edges = [loss.since for each in levels for loss in losses(each)]
    edges += [each.since for each in absences(history, limits)]
    nights |= {night for edge in edges for night in (edge - 1, edge) if night >= 0}
    return {history.nights[night].run for night in nights}
