"""Do events come at a beat? A Rayleigh test at every frequency, with the windows in which events could be seen.

E is the mean of exp(2 pi i f t) over a window, and so of an event in it that comes at random. With S the sum of
exp(2 pi i f t) - E over the n events of a window, and V = n (1 - |E|^2) its variance, |S|^2 / V is exponential with
mean 1; the sum of that over m windows is gamma of shape m. So windows that themselves come at a beat, as series do, are
no period, and no phase need hold from one window to the next: clocks may drift, and what has a beat may pause.

The false alarm rate is that of the best frequency: its own probability times the frequencies that a window can tell
apart (Horne and Baliunas, 1986). Events that follow another within half of a period are one event with it: bursts are
no beat. Where too many do, that period is not tried.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FEWEST_EVENTS: Final = 8
FEWEST_IN_WINDOW: Final = 3  # two events are at some beat always
FEWEST_BEATS: Final = 3  # of a period in a window
OVERSAMPLING: Final = 5  # frequencies for each that a window can tell apart: no peak falls between two
LEAST_APART: Final = 0.6  # of the events, that follow no other within half of a period
NEARLY: Final = 0.9  # of the best sum: of multiples of one frequency, which are as good, the lowest is the beat
FINE_STEPS: Final = 81  # between two neighbours: a beat is then known to half a percent, alone to a tenth of that
SHORTEST_NS: Final = 50_000.0
MOST_FREQUENCIES: Final = 40_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """Events of one series: when each began, ascending, and between which times they could."""

    at_ns: FloatArray
    start_ns: float
    end_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A beat, and how likely chance alone would give one as clear."""

    period_ns: float
    events: int
    chance: float
    """At most; of all frequencies that were tried."""


def period_of(windows: Sequence[Window], *, shortest_ns: float = SHORTEST_NS) -> Period | None:
    """Return the clearest beat of events; None where there are too few to tell one."""
    told = [each for each in windows if len(each.at_ns) >= FEWEST_IN_WINDOW and each.end_ns > each.start_ns]
    events = sum(len(each.at_ns) for each in told)
    if events < FEWEST_EVENTS:
        return None
    longest_ns = max(each.end_ns - each.start_ns for each in told)
    lowest, highest = FEWEST_BEATS / longest_ns, 1.0 / max(shortest_ns, longest_ns * OVERSAMPLING / MOST_FREQUENCIES)
    if highest <= lowest:
        return None
    frequency = np.arange(lowest, highest, 1.0 / (OVERSAMPLING * longest_ns))
    sums = np.zeros((3, len(frequency)))
    for each in told:
        sums += _sums_of(each, frequency)
    power, shape, apart = sums
    is_tried = apart >= LEAST_APART * events
    if not is_tried.any():
        return None
    found = _clearest(frequency, np.where(is_tried, power, 0.0), shape, events, (highest - lowest) * longest_ns)
    return None if found is None else replace(found, period_ns=_refined(told, found.period_ns, longest_ns))


def _refined(windows: Sequence[Window], period_ns: float, longest_ns: float) -> float:
    """Return the best period between the neighbours of one on the grid of frequencies."""
    step = 1.0 / (OVERSAMPLING * longest_ns)
    near = 1.0 / period_ns + step * np.linspace(-1.0, 1.0, FINE_STEPS)
    near = near[near > 0]
    power = sum((_sums_of(each, near)[0] for each in windows), np.zeros(len(near)))
    return float(1.0 / near[int(np.argmax(power))])


def _sums_of(window: Window, frequency: FloatArray) -> FloatArray:
    """Return |S|^2 / V, one where the window has a say, and its events that are apart; shape (3, frequencies)."""
    gap_ns = np.diff(window.at_ns, prepend=-np.inf)
    kept = gap_ns[:, None] * frequency[None, :] >= 0.5
    phase = 2 * np.pi * (window.at_ns[:, None] - window.start_ns) * frequency[None, :]
    length = (window.end_ns - window.start_ns) * frequency
    # The mean of exp(2 pi i x) for x from 0 to the length of the window.
    mean = np.exp(1j * np.pi * length) * np.sinc(length)
    total = (np.where(kept, np.exp(1j * phase), 0)).sum(axis=0) - kept.sum(axis=0) * mean
    count = kept.sum(axis=0)
    variance = count * np.maximum(1 - np.abs(mean) ** 2, 1e-9)
    has_say = (count >= FEWEST_IN_WINDOW) & (length >= FEWEST_BEATS)
    power = np.where(has_say, np.abs(total) ** 2 / np.maximum(variance, 1e-9), 0.0)
    sums: FloatArray = np.stack([power, has_say.astype(np.float64), count.astype(np.float64)])
    return sums


def _clearest(
    frequency: FloatArray, power: FloatArray, shape: FloatArray, events: int, independent: float
) -> Period | None:
    # Where windows differ in length they differ in how many have a say: the best of each number of them.
    best = max(
        (int(np.argmax(np.where(shape == each, power, -1.0))) for each in np.unique(shape[shape > 0])),
        key=lambda at: -_log_gamma_tail(float(shape[at]), float(power[at])),
        default=-1,
    )
    if best < 0 or power[best] <= 0:
        return None
    lowest = int(np.flatnonzero(power >= NEARLY * power[best])[0])
    while lowest + 1 < len(power) and power[lowest + 1] > power[lowest]:
        lowest += 1
    log_chance = _log_gamma_tail(float(shape[lowest]), float(power[lowest])) + math.log(max(independent, 1.0))
    return Period(
        period_ns=float(1.0 / frequency[lowest]), events=events, chance=min(math.exp(min(log_chance, 0.0)), 1.0)
    )


def _log_gamma_tail(shape: float, value: float) -> float:
    """Return the logarithm of how often a sum of ``shape`` exponentials of mean 1 exceeds a value; Erlang's series."""
    if shape < 1 or value <= 0:
        return 0.0
    terms = np.arange(int(shape))
    logs = terms * math.log(value) - np.array([math.lgamma(each + 1.0) for each in terms.tolist()])
    return float(np.logaddexp.reduce(logs) - value)
