"""Progress on standard error: a line that moves on a terminal, nothing in a pipe or in a mail from cron."""

import sys
import time
from types import TracebackType
from typing import Self

from netprobe.contracts import Sink
from netprobe.model.record import RanksDone, RanksReady, Record, RoundStarted
from netprobe.units import NS_PER_S


class ProgressSink:
    """A Sink that passes every record on and draws where the run is: stage, round, time left."""

    def __init__(self, onward: Sink) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(file=sys.stderr)
        self._onward = onward
        self._progress = Progress(
            TextColumn("{task.description:<26}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[round]:<14} {task.fields[left]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("starting ranks", total=1.0, round="", left="")
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()

    def emit(self, record: Record) -> None:
        """Draw and pass on."""
        match record:
            case RanksReady():
                self._started = time.monotonic()
                self._progress.update(self._task, description=f"{len(record.ranks)} ranks met")
            case RoundStarted():
                self._show(record)
            case RanksDone():
                self._progress.update(self._task, description="judging", completed=1.0, round="", left="")
            case _:
                pass
        self._onward.emit(record)

    def _show(self, record: RoundStarted) -> None:
        done = (record.stage_index + record.round_index / max(record.rounds, 1)) / record.stages
        elapsed_s = time.monotonic() - self._started
        floor_s = (record.rounds - record.round_index) * record.expected_ns / NS_PER_S
        left_s = max(elapsed_s / done * (1 - done) if done else 0.0, floor_s)
        self._progress.update(
            self._task,
            description=record.stage,
            completed=done,
            round=f"round {record.round_index + 1}/{record.rounds}",
            left=f"about {left_s:.0f} s left",
        )
