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
gradients with momentum (locate.loss_squares). docs/locate.md compares them, and the votes of 007 (Arzani et al., NSDI
2018).

What explains about as well as what is named is told beside it (``rivals``): a NIC that met a single other cannot be
told from it, and such an answer is no name.

Does not handle: losses by congestion, which follow load and no link; rows of different load.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.loss_fit import Beside, Chosen, Suspects, beside_of, suspects_of
from netprobe.locate.loss_links import PARTS, Links, LossPaths, Part

IntArray = NDArray[np.int64]

MOST_LINKS: Final = 32
"""More is no longer a list of links but a sick fabric."""
CHANCE: Final = 0.01
"""Of naming a link in a sound fabric: a candidate among m has to gain log(m / CHANCE)."""
RIVAL_NATS: Final = 5.0
"""Likelihoods within a factor of 150 are no reason to prefer one of two links."""
FEWEST_PARTNERS: Final = 2


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


def by_likelihood(paths: LossPaths, links: Links, *, background: float) -> tuple[Culprit, ...]:
    """Return the links that lose, the most certain first; ``background`` is what every path may lose for no reason."""
    suspects = suspects_of(paths, links, background)
    if not suspects.links.count:
        return ()
    price = float(np.log(suspects.links.count / CHANCE))
    chosen: Chosen = ()
    while len(chosen) < MOST_LINKS:
        best = _best(beside_of(suspects, chosen), price, {link for link, _, _ in chosen})
        if best is None:
            break
        chosen = _settled(suspects, (*chosen, best), price)
        if best[0] not in {link for link, _, _ in chosen}:
            break  # it was only needed beside what it replaced: no progress is left
    named = [culprit_of(paths, suspects, chosen, at) for at in range(len(chosen))]
    return tuple(sorted(named, key=lambda each: -each.gain_nats))


def _best(beside: Beside, price: float, excluded: set[int]) -> tuple[int, float, float] | None:
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


def _settled(suspects: Suspects, chosen: Chosen, price: float) -> Chosen:
    """Return the links with rates fitted beside each other, without those that the others made needless."""
    for _ in range(2):
        kept = list(chosen)
        for each in chosen:
            others = tuple(other for other in kept if other[0] != each[0])
            rate, gain = beside_of(suspects, others).fitted(each[0])
            kept = [(each[0], rate, gain) if other[0] == each[0] else other for other in kept]
            if gain < price:
                kept = list(others)
        chosen = tuple(kept)
    return chosen


def culprit_of(paths: LossPaths, suspects: Suspects, chosen: Chosen, at: int) -> Culprit:
    """Return the record of ``chosen[at]``, told apart from what the others lose."""
    link, rate, gain = chosen[at]
    links = suspects.links
    rows = suspects.rows(link)[0]
    # What others lose on rows that it shares says nothing of it.
    others = beside_of(suspects, chosen[:at] + chosen[at + 1 :])
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


def _rivals(beside: Beside, link: int, gain: float) -> tuple[tuple[Part, int, int], ...]:
    """Return which other candidates would gain about as much in its place."""
    links, bounds = beside.suspects.links, beside.bounds()

    def name(each: int) -> tuple[Part, int, int]:
        return PARTS[int(links.part[each])], int(links.first[each]), int(links.second[each])

    near = np.flatnonzero(bounds >= gain - RIVAL_NATS).tolist()
    alike = {name(each) for each in near if beside.fitted(each)[1] >= gain - RIVAL_NATS}
    return tuple(sorted(alike - {name(link)}))
