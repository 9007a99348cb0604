"""Which links lose, told from the losses of many paths that cross several links each.

Row i of the table sent s[i] packets along links, and lost k[i]. A link l loses each packet with probability r[l], so

    k[i] ~ Poisson(s[i] * (background + sum over the links of i of r[l]))

which for small losses is -log(1 - k/s) = A r of network tomography. Where switches spread flows over u parallel links
and the flow's own is not known, a row crosses the bad one with probability 1/u: all of its packets or none, which is a
mixture and no average. Candidates are

    tx, rx        the cable and ports between a NIC and its leaf, by direction
    up, down      the bundle of links between a leaf and its spines, by direction: one of them (1/u) is bad, or all are
    joint         what joins two leaves, in one direction: one of its ways
    path          one directed pair alone, whatever it takes: a hash-dependent path, or a hiccup

Two methods answer. ``by_likelihood`` adds the link that raises the posterior most, with its most likely rate, takes
away those that others have made needless, and fits the rates of all again (coordinate ascent), as Flock (Harsh et al.,
2023) does with the model of NetBouncer (Tan et al., NSDI 2019); every link costs as much as it is unlikely to be bad
among so many. ``by_least_squares`` minimises sum of s (A r - y)^2 + penalty * sum of r with r >= 0, by projected
gradients with momentum. docs/locate.md compares them, and the votes of 007 (Arzani et al., NSDI
2018).

What explains about as well as what is named is told beside it (``rivals``): a NIC that met a single other cannot be
told from it, and such an answer is no name.

Does not handle: losses by congestion, which follow load and no link; rows of different load.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.stats.distinct import by_owner

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

RATES: Final = np.geomspace(1e-7, 0.5, 24)
"""Rates that are tried for a link first; then finer ones around the best."""
FINER: Final = np.geomspace(0.5, 2.0, 31)
ROOM: Final = 1 << 18
"""Numbers that are looked at together; more would not stay in a cache."""
MOST_LINKS: Final = 32
"""More is no longer a list of links but a sick fabric."""
CHANCE: Final = 0.01
"""Of naming a link in a sound fabric: a candidate among m has to gain log(m / CHANCE)."""
RIVAL_NATS: Final = 5.0
"""Likelihoods within a factor of 150 are no reason to prefer one of two links."""
FEWEST_PARTNERS: Final = 2
MOST_SWEEPS: Final = 500
NAMED_SHARE: Final = 0.1
"""Of the largest rate that least squares gives any link; the rest is what it spreads over neighbours."""


class Part(StrEnum):
    """Kinds of candidates."""

    TX = "tx"
    RX = "rx"
    UP = "up"
    DOWN = "down"
    JOINT = "joint"
    PATH = "path"


PARTS: Final = tuple(Part)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossPaths:
    """Directed pairs of NICs of one rail; arrays have shape (rows,). The same pair may come again, by another way."""

    src: IntArray
    dst: IntArray
    sent: FloatArray
    lost: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Links:
    """Candidates, and which rows cross them; entries have shape (entries,), candidates (links,)."""

    row: IntArray
    link: IntArray
    share: FloatArray
    """How likely the row crosses it: 1, or 1/u."""
    part: IntArray
    """Of each candidate, an index of ``PARTS``."""
    first: IntArray
    """The NIC, the leaf, or the source of a pair or path."""
    second: IntArray
    """The other leaf or NIC; -1 where there is none."""
    is_one_of: BoolArray
    """Whether one link of a bundle is meant, rather than all of it."""

    @property
    def count(self) -> int:
        """How many candidates there are."""
        return len(self.part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A link that loses."""

    part: Part
    first: int
    second: int
    is_one_of: bool
    ratio: float
    """The share of the packets on it that is lost."""
    gain_nats: float
    """By how much the fit is worse without it."""
    rows: IntArray
    """Rows that cross it, or may."""
    lossy_rows: int
    partners: int
    """Distinct other ends of its lossy rows: NICs, or leaves for a bundle."""
    rivals: tuple[tuple[Part, int, int], ...]
    """Other candidates that explain about as well in its place."""

    @property
    def is_certain(self) -> bool:
        """Whether it is a name, and not one of several."""
        return not self.rivals


def links_of(paths: LossPaths, leaf_of: IntArray, uplinks: IntArray) -> Links:
    """Return the candidates of these paths.

    ``leaf_of`` numbers the leaf of each NIC (-1: not known), ``uplinks`` counts those of each leaf (0: not known; then
    one of two and all are tried, as a bundle has two links at least).
    """
    near, far = leaf_of[paths.src], leaf_of[paths.dst]
    crosses = (near >= 0) & (far >= 0) & (near != far)
    everywhere = np.ones(len(paths.src), dtype=bool)
    lossy = paths.lost > 0
    none = np.full(len(paths.src), -1, dtype=np.int64)
    of_near, of_far = (_ways(side, uplinks) for side in (near, far))
    narrow = np.maximum(of_near, of_far)
    wanted = [
        (Part.TX, everywhere, paths.src, none, None),
        (Part.RX, everywhere, paths.dst, none, None),
        *((part, crosses, side, none, ways) for part, side, of in ((Part.UP, near, of_near), (Part.DOWN, far, of_far))
          for ways in (None, of)),
        (Part.JOINT, crosses, near, far, narrow),
        (Part.JOINT, crosses, near, far, None),
        (Part.PATH, lossy, paths.src, paths.dst, None),
    ]  # fmt: skip
    return _assembled([each for each in wanted if each[1].any()])


def _ways(side: IntArray, uplinks: IntArray) -> FloatArray:
    known = np.append(uplinks, 0)[side]
    ways: FloatArray = np.where(known > 0, known, 2).astype(np.float64)
    return ways


Wanted = tuple[Part, BoolArray, IntArray, IntArray, FloatArray | None]


def _assembled(wanted: list[Wanted]) -> Links:
    rows, links, shares, parts, firsts, seconds, kinds = [], [], [], [], [], [], []
    base = 0
    for part, which, first, second, ways in wanted:
        at = np.flatnonzero(which)
        width = int(second[at].max()) + 2
        keys, number = _numbered(first[at] * width + second[at] + 1)
        rows.append(at)
        links.append(base + number)
        shares.append(np.ones(len(at)) if ways is None else 1.0 / ways[at])
        parts.append(np.full(len(keys), PARTS.index(part), dtype=np.int64))
        firsts.append(keys // width)
        seconds.append(keys % width - 1)
        kinds.append(np.full(len(keys), ways is not None))
        base += len(keys)
    if not wanted:
        empty = np.zeros(0, dtype=np.int64)
        return Links(row=empty, link=empty, share=empty.astype(np.float64), part=empty, first=empty, second=empty,
                     is_one_of=empty.astype(bool))  # fmt: skip
    return Links(
        row=np.concatenate(rows),
        link=np.concatenate(links),
        share=np.concatenate(shares),
        part=np.concatenate(parts),
        first=np.concatenate(firsts),
        second=np.concatenate(seconds),
        is_one_of=np.concatenate(kinds),
    )


def _numbered(keys: IntArray) -> tuple[IntArray, IntArray]:
    """Return the distinct keys, ascending, and the place of each key among them; by counting, where there is room."""
    most = int(keys.max(initial=0)) + 1
    if most > 64 * len(keys) + (1 << 20):
        distinct, number = np.unique(keys, return_inverse=True)
        return distinct, number.reshape(-1).astype(np.int64)
    is_there = np.zeros(most, dtype=bool)
    is_there[keys] = True
    place = np.cumsum(is_there) - 1
    return np.flatnonzero(is_there), place[keys].astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Suspects:
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
class _Beside:
    """What rows lose because of the links that are chosen already."""

    suspects: _Suspects
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
    """Of the states of each row (``_Beside.states``), as ``mean``; shape (rows, states)."""
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


Chosen = tuple[tuple[int, float, float], ...]
"""Candidates, the rate of each, and its gain."""


def by_likelihood(paths: LossPaths, links: Links, *, background: float) -> tuple[Culprit, ...]:
    """Return the links that lose, the most certain first; ``background`` is what every path may lose for no reason."""
    suspects = _suspects(paths, links, background)
    if not suspects.links.count:
        return ()
    price = float(np.log(suspects.links.count / CHANCE))
    chosen: Chosen = ()
    while len(chosen) < MOST_LINKS:
        best = _best(_beside(suspects, chosen), price, {link for link, _, _ in chosen})
        if best is None:
            break
        chosen = _settled(suspects, (*chosen, best), price)
        if best[0] not in {link for link, _, _ in chosen}:
            break  # it was only needed beside what it replaced: no progress is left
    named = [_culprit(paths, suspects, chosen, at) for at in range(len(chosen))]
    return tuple(sorted(named, key=lambda each: -each.gain_nats))


def _suspects(paths: LossPaths, links: Links, background: float) -> _Suspects:
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
    return _Suspects(
        links=own,
        start=np.append(0, np.cumsum(counts)),
        lossy=np.flatnonzero((paths.lost > 0)[own.row]),
        sent=paths.sent,
        lost=paths.lost,
        background=background,
    )


def _beside(suspects: _Suspects, chosen: Chosen) -> _Beside:
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
    return _Beside(suspects=suspects, certain=certain, maybe=tuple(maybe))


def _best(beside: _Beside, price: float, excluded: set[int]) -> tuple[int, float, float] | None:
    """Return the candidate that gains most, at its likeliest rate; None where none gains its price.

    In the order of what they could gain at most, so that most are never fitted.
    """
    best: tuple[int, float, float] | None = None
    bounds = beside.bounds()
    for link in np.argsort(-bounds, kind="stable").tolist():
        if bounds[link] < price or (best is not None and bounds[link] <= best[2]):
            break
        if link in excluded:
            continue
        rate, gain = beside.fitted(link)
        if gain >= price and (best is None or gain > best[2]):
            best = link, rate, gain
    return best


def _settled(suspects: _Suspects, chosen: Chosen, price: float) -> Chosen:
    """Return the links with rates fitted beside each other, without those that the others made needless."""
    for _ in range(2):
        kept = list(chosen)
        for each in chosen:
            others = tuple(other for other in kept if other[0] != each[0])
            rate, gain = _beside(suspects, others).fitted(each[0])
            kept = [(each[0], rate, gain) if other[0] == each[0] else other for other in kept]
            if gain < price:
                kept = list(others)
        chosen = tuple(kept)
    return chosen


def _culprit(paths: LossPaths, suspects: _Suspects, chosen: Chosen, at: int) -> Culprit:
    link, rate, gain = chosen[at]
    links = suspects.links
    rows = suspects.rows(link)[0]
    # What others lose on rows that it shares says nothing of it.
    others = _beside(suspects, chosen[:at] + chosen[at + 1 :])
    lossy = rows[(paths.lost[rows] >= 1) & (paths.lost[rows] > 2 * others.expected(rows))]
    part = PARTS[int(links.part[link])]
    ends = {Part.TX: (paths.dst,), Part.RX: (paths.src,)}.get(part, (paths.src, paths.dst))
    return Culprit(
        part=part,
        first=int(links.first[link]),
        second=int(links.second[link]),
        is_one_of=bool(links.is_one_of[link]),
        ratio=rate,
        gain_nats=gain,
        rows=rows,
        lossy_rows=len(lossy),
        partners=min((len(np.unique(end[lossy])) for end in ends), default=0),
        rivals=_rivals(others, link, gain),
    )


def _rivals(beside: _Beside, link: int, gain: float) -> tuple[tuple[Part, int, int], ...]:
    """Return which other candidates would gain about as much in its place."""
    links, bounds = beside.suspects.links, beside.bounds()

    def name(each: int) -> tuple[Part, int, int]:
        return PARTS[int(links.part[each])], int(links.first[each]), int(links.second[each])

    near = np.flatnonzero(bounds >= gain - RIVAL_NATS).tolist()
    alike = {name(each) for each in near if beside.fitted(each)[1] >= gain - RIVAL_NATS}
    return tuple(sorted(alike - {name(link)}))


def by_least_squares(paths: LossPaths, links: Links, *, background: float, smallest: float) -> tuple[Culprit, ...]:
    """Return the links that lose at least ``smallest``, worst first; rivals are not looked for."""
    suspects = _suspects(paths, links, background)
    if not suspects.links.count:
        return ()
    own = suspects.links
    is_bundle = np.isin(own.part, [PARTS.index(part) for part in (Part.UP, Part.DOWN, Part.JOINT)])
    # A way of its own for every row would explain anything: least squares, which pays nothing for a name, took them.
    is_path = own.part == PARTS.index(Part.PATH)
    used = (~is_path & (~is_bundle | own.is_one_of))[own.link]
    row, link, share = own.row[used], own.link[used], own.share[used]
    ratio = np.minimum(paths.lost / np.maximum(paths.sent, 1.0), 1.0 - 1e-6)
    wanted = np.maximum(-np.log1p(-ratio) - background, 0.0)
    rates = _least_squares(row, link, share, wanted, paths.sent, own.count)
    named = np.flatnonzero(rates >= max(smallest, NAMED_SHARE * float(rates.max())))
    chosen: Chosen = tuple((int(each), float(rates[each]), float(rates[each])) for each in named)
    culprits = [replace(_culprit(paths, suspects, (each,), 0), rivals=()) for each in chosen]
    return tuple(sorted((each for each in culprits if _has_breadth(each)), key=lambda each: -each.ratio))


def _has_breadth(culprit: Culprit) -> bool:
    return culprit.part is Part.PATH or culprit.lossy_rows >= FEWEST_PARTNERS


def _least_squares(
    row: IntArray, link: IntArray, share: FloatArray, wanted: FloatArray, weight: FloatArray, count: int
) -> FloatArray:
    """Return rates >= 0 that minimise the weighted squares and a penalty, shape (links,).

    Steps are those of the separable quadratic that lies above the sum (De Pierro 1995), with Nesterov's momentum. The
    penalty is a thousandth of the largest gradient at 0: it chooses among what explains alike, and shifts rates little.
    """
    reach = np.bincount(row, share, len(wanted))
    steps = np.maximum(np.bincount(link, weight[row] * share * reach[row], count), 1e-30)
    pull = np.bincount(link, weight[row] * share * wanted[row], count)
    penalty = 1e-3 * float(pull.max(initial=0.0))
    rates = ahead = np.zeros(count)
    momentum = 1.0
    for _ in range(MOST_SWEEPS):
        told = np.bincount(row, share * ahead[link], len(wanted))
        slope = np.bincount(link, weight[row] * share * told[row], count) - pull + penalty
        moved = np.maximum(ahead - slope / steps, 0.0)
        faster = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead = moved + (momentum - 1.0) / faster * (moved - rates)
        rates, momentum = moved, faster
    return rates
