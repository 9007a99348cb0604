"""How the GPUs of a host do while a stage runs: a thread of the host's first rank asks the driver again and again.

Nothing here touches what is measured: the thread leaves the cores of all ranks where the host has others, it asks no
more than a twentieth of the time, and a driver that does not answer is left behind with its thread.
"""

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final, TypeVar

from netprobe.contracts import GpuSystem
from netprobe.model.gpu import FAULTY_HOLDS, GpuCondition, GpuDevice, GpuLevels, GpuWindow, Hold, UnreadGpu

T = TypeVar("T", int, float)

INTERVAL_S: Final = 0.2
REST: Final = 19  # times as long as asking took: a twentieth of one core
LONGEST_ANSWER_S: Final = 5.0
NO_ANSWER: Final = f"the driver did not answer within {LONGEST_ANSWER_S:.0f} s"


@dataclass(slots=True)
class _Asked:
    """What one GPU has answered during a stage."""

    device: GpuDevice
    levels: list[GpuLevels] = field(default_factory=list)
    conditions: list[GpuCondition] = field(default_factory=list)
    silence: str | None = None


class GpuWatch:
    """Watches the GPUs of this host from ``begin`` to ``end``; without ``gpus`` it does nothing."""

    def __init__(
        self,
        gpus: GpuSystem | None,
        *,
        ranks_cpus: Collection[int] = (),
        interval_s: float = INTERVAL_S,
        longest_answer_s: float = LONGEST_ANSWER_S,
    ) -> None:
        self._gpus = gpus
        self._ranks_cpus = frozenset(ranks_cpus)
        self._interval_s = interval_s
        self._longest_answer_s = longest_answer_s
        self._asked: tuple[_Asked, ...] = ()
        self._unread: tuple[UnreadGpu, ...] = ()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_stuck = False

    def begin(self) -> None:
        """Start to ask; a driver that still owes an answer is not asked again."""
        self._is_stuck = self._thread is not None and self._thread.is_alive()
        if self._gpus is None or self._is_stuck:
            return
        # Also the survey is the thread's: it is the first thing that can hang.
        self._asked, self._unread, self._stop = (), (), threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(self._gpus, self._stop), daemon=True, name="gpus")
        self._thread.start()

    def end(self, stage: str, rank: int) -> tuple[GpuWindow, ...]:
        """Stop, and return what the GPUs showed since ``begin``; ``rank`` is this rank's number in the run."""
        if self._thread is None:
            return ()
        nothing = GpuWindow(stage=stage, rank=rank, pci=None, silence=NO_ANSWER)
        if self._is_stuck:
            return (nothing,)
        self._stop.set()
        self._thread.join(self._longest_answer_s)
        if self._thread.is_alive():
            return tuple(replace(window_of(each, stage, rank), silence=NO_ANSWER) for each in self._asked) or (nothing,)
        return (
            *(window_of(each, stage, rank) for each in self._asked),
            *(GpuWindow(stage=stage, rank=rank, pci=each.pci, silence=each.reason) for each in self._unread),
        )

    def _watch(self, gpus: GpuSystem, stop: threading.Event) -> None:
        _leave(self._ranks_cpus)
        survey = gpus.survey()
        self._unread = survey.unread
        self._asked = tuple(_Asked(device) for device in survey.devices)
        self._ask_each(lambda each: each.conditions.append(gpus.condition(each.device.pci)))
        rest_s = 0.0
        while not stop.wait(rest_s) or rest_s == 0.0:
            started = time.monotonic()
            self._ask_each(lambda each: _sample(gpus, each))
            rest_s = max(self._interval_s, REST * (time.monotonic() - started))
        self._ask_each(lambda each: each.conditions.append(gpus.condition(each.device.pci)))

    def _ask_each(self, question: Callable[[_Asked], None]) -> None:
        """Ask all GPUs that are still there."""
        for each in self._asked:
            if each.silence is None:
                question(each)


def _sample(gpus: GpuSystem, asked: _Asked) -> None:
    levels = gpus.levels(asked.device.pci)
    if levels.silence is None:
        asked.levels.append(levels)
    asked.silence = levels.silence


def _leave(cpus: frozenset[int]) -> None:
    """Move this thread to cores that no rank has; stay where there are none, or where that is not allowed."""
    others = set(range(os.cpu_count() or 0)) - cpus
    if others and cpus and hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(0, others)  # of the calling thread alone, on Linux


def window_of(asked: _Asked, stage: str, rank: int) -> GpuWindow:
    """Return what the answers of one GPU come down to."""
    device, levels = asked.device, tuple(asked.levels)
    busy = [each for each in levels if each.holds is not None and Hold.IDLE not in each.holds]
    held = [each for each in levels if each.holds and not each.holds.isdisjoint(FAULTY_HOLDS)]
    holds = [hold for each in levels for hold in each.holds or ()]
    return GpuWindow(
        stage=stage,
        rank=rank,
        pci=device.pci,
        name=device.name,
        silence=asked.silence,
        samples=len(levels),
        samples_busy=len(busy),
        samples_held=len(held),
        holds={hold: holds.count(hold) for hold in Hold if hold in holds},
        sm_clock_least_mhz=_least(each.sm_clock_mhz for each in busy),
        sm_clock_typical_mhz=_median(each.sm_clock_mhz for each in busy),
        sm_clock_held_mhz=_median(each.sm_clock_mhz for each in held),
        sm_clock_target_mhz=device.sm_clock_target_mhz,
        memory_clock_typical_mhz=_median(each.memory_clock_mhz for each in busy),
        memory_clock_most_mhz=device.memory_clock_most_mhz,
        celsius_most=_most(each.celsius for each in levels),
        slowdown_celsius=device.slowdown_celsius,
        power_most_watts=_most(each.power_watts for each in levels),
        power_limit_watts=device.power_limit_watts,
        pcie_generation_best=_most(each.pcie_generation for each in busy),
        pcie_generation_most=device.pcie_generation_most,
        pcie_width_least=_least(each.pcie_width for each in busy),
        pcie_width_most=device.pcie_width_most,
        links=_most(each.links for each in asked.conditions),
        links_active_least=_least(each.links_active for each in asked.conditions),
        links_switched_least=_least(each.links_switched for each in asked.conditions),
        link_generation=_least(each.link_generation for each in asked.conditions),
        remap_pending=_any(each.remap_pending for each in asked.conditions),
        remap_failed=_any(each.remap_failed for each in asked.conditions),
    )


def _known(values: Iterable[T | None]) -> Sequence[T]:
    return [value for value in values if value is not None]


def _least(values: Iterable[T | None]) -> T | None:
    return min(_known(values), default=None)


def _most(values: Iterable[T | None]) -> T | None:
    return max(_known(values), default=None)


def _median(values: Iterable[int | None]) -> float | None:
    known = _known(values)
    return float(median(known)) if known else None


def _any(values: Iterable[bool | None]) -> bool | None:
    known = [value for value in values if value is not None]
    return any(known) if known else None
