"""How likely losses are beside the links that are chosen already, and what one more gains (locate.tomography)."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.loss_links import Links, LossPaths
from netprobe.stats.distinct import by_owner

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

RATES: Final = np.geomspace(1e-7, 0.5, 24)
"""Rates that are tried for a link first; then finer ones around the best."""
FINER: Final = np.geomspace(0.5, 2.0, 31)
ROOM: Final = 1 << 18
"""Numbers that are looked at together; more would not stay in a cache."""

Chosen = tuple[tuple[int, float, float], ...]
"""Candidates, the rate of each, and its gain."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Suspects:
    """The candidates that some lossy row crosses, with all of their entries, in their order: nobody else can lose."""

    links: Links
    start: IntArray
    """Of the entries of each, shape (links + 1,)."""
    lossy: IntArray
    """Entries of rows that lost something."""
    sent: FloatArray
    lost: FloatArray
    background: float

    def rows(self, link: int) -> tuple[IntArray, FloatArray]:
        """Return the rows that cross a candidate, and how likely they do."""
        own = slice(int(self.start[link]), int(self.start[link + 1]))
        return self.links.row[own], self.links.share[own]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beside:
    """What rows lose because of the links that are chosen already."""

    suspects: Suspects
    certain: FloatArray
    """Losses expected of rows, shape (rows,): background, and links that they cross for certain."""
    maybe: tuple[tuple[FloatArray, FloatArray], ...]
    """For each bundle that is chosen: how likely rows cross its bad link, and what they then lose; shape (rows,)."""

    def states(self, row: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return what rows may cross: log probabilities and expected losses, shapes (rows, states)."""
        chance, mean = np.zeros((len(row), 1)), self.certain[row][:, None]
        for share, more in self.maybe:
            own = share[row]
            if not own.any():
                continue
            with np.errstate(divide="ignore"):
                crosses, passes = np.log(own)[:, None], np.log1p(-own)[:, None]
            chance = np.concatenate([chance + passes, chance + crosses], axis=1)
            mean = np.concatenate([mean, mean + more[row][:, None]], axis=1)
        return chance, mean

    def told(self, row: IntArray) -> FloatArray:
        """Return the log likelihood of rows, up to what depends on their own losses alone."""
        chance, mean = self.states(row)
        return _log_likelihood(chance, mean, self.suspects.lost[row])

    def expected(self, row: IntArray) -> FloatArray:
        """Return what rows are expected to have lost, given what they did lose."""
        chance, mean = self.states(row)
        odds = chance + self.suspects.lost[row][:, None] * np.log(mean) - mean
        weight = np.exp(odds - odds.max(axis=1, keepdims=True))
        expected: FloatArray = (weight * mean).sum(axis=1) / weight.sum(axis=1)
        return expected

    def bounds(self) -> FloatArray:
        """Return what each candidate can gain at most: every lossy row at the rate that suits it best."""
        suspects = self.suspects
        row = np.flatnonzero(suspects.lost > 0)
        lost = suspects.lost[row]
        best = np.zeros(len(suspects.lost))
        best[row] = np.maximum(lost * np.log(lost) - lost - self.told(row), 0.0)
        links, lossy = suspects.links, suspects.lossy
        return np.bincount(links.link[lossy], best[links.row[lossy]], links.count).astype(np.float64)

    def fitted(self, link: int) -> tuple[float, float]:
        """Return the most likely rate of a candidate beside these, and its gain."""
        gains = self._gains_of(link)
        rates = RATES[int(np.argmax(gains.at(RATES)))] * FINER
        gained = gains.at(rates)
        best = int(np.argmax(gained))
        return float(rates[best]), float(gained[best])

    def _gains_of(self, link: int) -> "_Gains":
        row, share = self.suspects.rows(link)
        lost, sent = self.suspects.lost[row], self.suspects.sent[row]
        is_quiet = lost == 0
        for crossed, _ in self.maybe:
            is_quiet &= crossed[row] == 0
        loud = row[~is_quiet]
        chance, mean = self.states(loud)
        return _Gains(
            quiet=_Quiet.of(sent[is_quiet], share[is_quiet]),
            share=share[~is_quiet],
            lost=lost[~is_quiet],
            sent=sent[~is_quiet],
            chance=chance,
            mean=mean,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Quiet:
    """Rows that lost nothing and cross no bundle that is chosen: all that matters is what they sent."""

    sent: FloatArray
    """Distinct, where that saves anything."""
    share: FloatArray
    count: FloatArray
    """How many rows are alike."""

    @classmethod
    def of(cls, sent: FloatArray, share: FloatArray) -> "_Quiet":
        """Return these rows; those of one share that sent as much together."""
        if len(sent) and (share == share[0]).all():
            alike, count = np.unique(sent, return_counts=True)
            return cls(sent=alike, share=np.full(len(alike), share[0]), count=count.astype(np.float64))
        return cls(sent=sent, share=share, count=np.ones(len(sent)))

    def at(self, rates: FloatArray) -> FloatArray:
        """Return what each rate gains on them, which is never more than 0; shape (rates,)."""
        less = -rates[:, None] * self.sent
        is_certain = self.share == 1.0
        gained = np.where(is_certain, less, np.log1p(np.where(is_certain, 0.0, self.share) * np.expm1(less)))
        return gained @ self.count


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Gains:
    """What a candidate gains at some rate: rows that lost nothing in short, the others in full, shape (rows,)."""

    quiet: _Quiet
    share: FloatArray
    lost: FloatArray
    sent: FloatArray
    chance: FloatArray
    """Of the states of each row (``Beside.states``), as ``mean``; shape (rows, states)."""
    mean: FloatArray

    def at(self, rates: FloatArray) -> FloatArray:
        """Return the gain of each rate, shape (rates,)."""
        without = _log_likelihood(self.chance, self.mean, self.lost)
        at_once = max(ROOM // max(self.mean.size, 1), 1)
        parts = [self._of_loud(rates[at : at + at_once], without) for at in range(0, len(rates), at_once)]
        return self.quiet.at(rates) + np.concatenate(parts)

    def _of_loud(self, rates: FloatArray, without: FloatArray) -> FloatArray:
        more = (rates[:, None] * self.sent)[:, :, None]
        beside = _log_likelihood(self.chance, self.mean + more, self.lost) - without
        gained: FloatArray = _mixed(beside, self.share).sum(axis=1)
        return gained


def _log_likelihood(chance: FloatArray, mean: FloatArray, lost: FloatArray) -> FloatArray:
    """Return that of rows, up to what depends on their own losses alone; states are the last axis of ``mean``."""
    told = chance + lost[:, None] * np.log(mean) - mean
    if told.shape[-1] == 1:
        return told[..., 0]
    most: FloatArray = told.max(axis=-1)
    result: FloatArray = most + np.log(np.exp(told - most[..., None]).sum(axis=-1))
    return result


def _mixed(own: FloatArray, share: FloatArray) -> FloatArray:
    """Return log(1 - share + share * exp(own)), without overflow."""
    if (share == 1.0).all():
        return own
    with np.errstate(divide="ignore"):
        mixed: FloatArray = np.logaddexp(np.log1p(-share), own + np.log(share))
    return mixed


def suspects_of(paths: LossPaths, links: Links, background: float) -> Suspects:
    """Return the candidates that some lossy row crosses; ``background`` is the share that any path may lose."""
    is_suspect = np.zeros(links.count, dtype=bool)
    is_suspect[links.link[paths.lost[links.row] > 0]] = True
    entries = np.flatnonzero(is_suspect[links.link])
    entries = entries[by_owner(links.link[entries], owners=links.count)]
    number = np.cumsum(is_suspect) - 1
    own = Links(
        row=links.row[entries],
        link=number[links.link[entries]],
        share=links.share[entries],
        part=links.part[is_suspect],
        first=links.first[is_suspect],
        second=links.second[is_suspect],
        is_one_of=links.is_one_of[is_suspect],
    )
    counts = np.bincount(own.link, minlength=own.count)
    return Suspects(
        links=own,
        start=np.append(0, np.cumsum(counts)),
        lossy=np.flatnonzero((paths.lost > 0)[own.row]),
        sent=paths.sent,
        lost=paths.lost,
        background=background,
    )


def beside_of(suspects: Suspects, chosen: Chosen) -> Beside:
    """Return what rows lose because of ``chosen``, and of the background."""
    certain = np.maximum(suspects.sent * suspects.background, 1e-9)
    maybe = []
    for link, rate, _ in chosen:
        row, share = suspects.rows(link)
        if (share == 1.0).all():
            certain[row] += suspects.sent[row] * rate
            continue
        crossed, more = np.zeros(len(certain)), np.zeros(len(certain))
        crossed[row], more[row] = share, suspects.sent[row] * rate
        maybe.append((crossed, more))
    return Beside(suspects=suspects, certain=certain, maybe=tuple(maybe))
