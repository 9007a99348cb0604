"""Counters around a round: read just before and just after it, on every rank."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from netprobe.contracts import Source
from netprobe.model.counters import CounterWindow
from netprobe.registry import sources

SETTLING_S: Final = 0.005  # what the other end says of the last packets (duplicates, losses) is still on its way


class Counting:
    """Reads all sources of this rank; those of the host only where this is the host's first rank."""

    def __init__(
        self,
        *,
        is_first_on_host: bool,
        known: Mapping[str, Source] | None = None,
        root: Path = Path("/"),
        now: Callable[[], int] = time.monotonic_ns,
        settle: Callable[[float], None] = time.sleep,
    ) -> None:
        all_sources = sources() if known is None else known
        self._sources = tuple(each for each in all_sources.values() if is_first_on_host or not each.is_per_host)
        self._root = root
        self._now = now
        self._settle = settle
        self._before: dict[str, int] = {}
        self._started_ns = 0

    def begin(self) -> None:
        """Take the first reading."""
        self._before = self._read()
        self._started_ns = self._now()

    def end(self, stage: str, round_index: int, rank: int) -> CounterWindow:
        """Take the second reading, and return what has grown since the first."""
        elapsed_ns = self._now() - self._started_ns
        self._settle(SETTLING_S)
        after = self._read()
        grown = {name: after[name] - value for name, value in self._before.items() if name in after}
        # A counter that went back was reset in between (a driver reloaded): what it has counted is not known.
        grown = {name: growth for name, growth in grown.items() if growth >= 0}
        return CounterWindow(stage=stage, round_index=round_index, rank=rank, elapsed_ns=elapsed_ns, grown=grown)

    def _read(self) -> dict[str, int]:
        return {name: value for source in self._sources for name, value in source.read(self._root).items()}
