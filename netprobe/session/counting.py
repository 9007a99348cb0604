"""Counters around rounds, stages and idle times: read just before and just after, on every rank."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Final

from netprobe.catalogue.keys import DatagramKey
from netprobe.catalogue.readings import growth_between
from netprobe.contracts import Source, System
from netprobe.model.bursts import BURSTS
from netprobe.model.counters import CounterWindow, DatagramCounts
from netprobe.model.finding import Gap
from netprobe.registry import sources
from netprobe.system.here import this_system
from netprobe.units import NS_PER_MS, NS_PER_S, format_duration

SETTLING_NS: Final = 5 * NS_PER_MS  # what the other end says of the last packets (duplicates, losses) is still to come
LONGEST_READING_NS: Final = 20 * NS_PER_MS  # all ranks wait meanwhile: 2 % of the time of bursts
MOST_SLOW_READINGS: Final = 3  # in a row: one may have met a busy core
OF_WHOM: Final = ("peer", "size_bytes")


class Counting:
    """Reads the sources of this rank; those of the host only where this is the host's first rank."""

    def __init__(
        self,
        *,
        is_first_on_host: bool,
        known: Mapping[str, Source] | None = None,
        system: System | None = None,
        now: Callable[[], int] = time.monotonic_ns,
        settle: Callable[[float], None] = time.sleep,
    ) -> None:
        self._system = system or this_system()
        self._now = now
        self._settle = settle
        every = (sources() if known is None else known).values()
        own = [each for each in every if is_first_on_host or not each.is_per_host]
        self._rounds = self._span((each for each in own if each.in_rounds), settling_counts=False)
        self._stages = self._span((each for each in own if each.in_stages), settling_counts=True)
        self._seconds = _Seconds(tuple(each for each in own if each.in_seconds), self._system, now)

    def begin(self, probe: str = "") -> None:
        """Take the first reading of a round of a probe."""
        self._rounds.begin(probe)

    def end(self, stage: str, round_index: int, rank: int) -> CounterWindow:
        """Take the second reading of a round, and return what has grown since the first."""
        return self._rounds.end(stage, round_index, rank)

    def begin_stage(self) -> bool:
        """Take the first reading of a stage or an idle time; return whether there is anything to count."""
        self._stages.begin()
        return self._stages.has_counters

    def end_stage(self, stage: str, rank: int) -> CounterWindow:
        """Take the second reading, and return what has grown since the first."""
        return self._stages.end(stage, None, rank)

    def begin_seconds(self) -> None:
        """Take the first reading of a stage of bursts."""
        self._seconds.begin()

    def with_second(self, window: CounterWindow) -> CounterWindow:
        """Return a second's window with what has grown since the one before of what is read once a second."""
        grown = self._seconds.grown()
        return replace(window, grown={**window.grown, **grown}) if grown else window

    def too_slow(self) -> Gap | None:
        """Return, once, that what is to be read each second takes too long for that."""
        return self._seconds.too_slow()

    def _span(self, own: Iterable[Source], *, settling_counts: bool) -> "_Span":
        return _Span(tuple(own), self._system, self._now, self._settle, settling_counts=settling_counts)


class _Seconds:
    """Readings of some sources, one a second; none any more where they take long time after time."""

    def __init__(self, own: tuple[Source, ...], system: System, now: Callable[[], int]) -> None:
        self._sources, self._system, self._now = own, system, now
        self._last: dict[str, int] = {}
        self._slow_in_a_row = 0
        self._slowest_ns = 0
        self._is_told = False

    def begin(self) -> None:
        self._last = self._read()

    def grown(self) -> Mapping[str, int]:
        before = self._last
        if not before or self._slow_in_a_row >= MOST_SLOW_READINGS:
            return {}
        self._last = self._read()
        return growth_between(before, self._last).grown

    def too_slow(self) -> Gap | None:
        if self._is_told or self._slow_in_a_row < MOST_SLOW_READINGS:
            return None
        self._is_told = True
        return Gap(
            topic=BURSTS,
            reason=f"reading NICs of {os.uname().nodename} took {format_duration(self._slowest_ns)} a second, time "
            "after time: from then on its pauses and discards were counted over the whole stage alone",
        )

    def _read(self) -> dict[str, int]:
        if not self._sources:
            return {}
        began_ns = self._now()
        told = {name: value for source in self._sources for name, value in source.read(self._system).items()}
        elapsed_ns = self._now() - began_ns
        self._slow_in_a_row = self._slow_in_a_row + 1 if elapsed_ns > LONGEST_READING_NS else 0
        self._slowest_ns = max(self._slowest_ns, elapsed_ns)
        return told


class _Span:
    """Two readings of some sources, one after the other.

    The time between them is the probe's, or, where ``settling_counts``, all that counters had to grow.
    """

    def __init__(
        self,
        own: tuple[Source, ...],
        system: System,
        now: Callable[[], int],
        settle: Callable[[float], None],
        *,
        settling_counts: bool,
    ) -> None:
        self._settling_counts = settling_counts
        self._sources = own
        self._system = system
        self._now = now
        self._settle = settle
        self._settling_ns = max((SETTLING_NS, *(each.settling_ns(system) for each in own)))
        self._before: dict[str, int] = {}
        self._read_now: Sequence[Source] = own
        self._started_ns = 0

    @property
    def has_counters(self) -> bool:
        """Whether the first reading gave anything."""
        return bool(self._before)

    def begin(self, probe: str = "") -> None:
        self._read_now = [each for each in self._sources if each.probes is None or probe in each.probes]
        self._before = self._read()
        self._started_ns = self._now()

    def end(self, stage: str, round_index: int | None, rank: int) -> CounterWindow:
        ended_ns = self._now()
        if self._before:
            self._settle(self._settling_ns / NS_PER_S)
        if self._settling_counts:
            ended_ns = self._now()
        growth = growth_between(self._before, self._read())
        return CounterWindow(
            stage=stage,
            round_index=round_index,
            rank=rank,
            elapsed_ns=ended_ns - self._started_ns,
            grown=growth.grown,
            at_least=growth.at_least,
        )

    def _read(self) -> dict[str, int]:
        return {name: value for source in self._read_now for name, value in source.read(self._system).items()}


def with_datagrams(window: CounterWindow, counts: Iterable[DatagramCounts], numbers: Sequence[int]) -> CounterWindow:
    """Return a window with what a probe counted itself; ``numbers`` are the run's, by MPI's."""
    own = {
        str(DatagramKey(peer=numbers[each.peer], size_bytes=each.size_bytes, what=field.name)): getattr(
            each, field.name
        )
        for each in counts
        for field in fields(each)
        if field.name not in OF_WHOM
    }
    return replace(window, grown={**window.grown, **own}) if own else window


def without_zeros(window: CounterWindow) -> CounterWindow:
    """Return a window without what did not grow: of bursts a launch's first round alone tells what is counted."""
    return replace(window, grown={name: growth for name, growth in window.grown.items() if growth})
