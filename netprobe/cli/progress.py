"""Progress on standard error: a line that moves on a terminal, nothing in a pipe or in a mail from cron."""

import sys
import time
from types import TracebackType
from typing import Self

from netprobe.cli.output import is_readers_terminal
from netprobe.contracts import Sink
from netprobe.model.record import RanksDone, RanksReady, Record, RoundStarted
from netprobe.units import NS_PER_S


class Progress:
    """The moving line: stage, how much is done, round, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description:<26}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[detail]}"),
            console=console,
            transient=True,
            disable=not is_readers_terminal(sys.stderr),
        )
        self._task = self._bars.add_task("starting ranks", total=1.0, detail="")
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        """Start drawing."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        self._bars.stop()

    def show(self, record: Record) -> None:
        """Draw what a record tells of where the run is."""
        match record:
            case RanksReady():
                self._started = time.monotonic()
                self._bars.update(self._task, description=f"{len(record.ranks)} ranks met")
            case RoundStarted():
                done = (record.stage_index + record.round_index / max(record.rounds, 1)) / record.stages
                self._bars.update(
                    self._task, description=record.stage, completed=done, detail=self._detail(record, done)
                )
            case RanksDone():
                self._bars.update(self._task, description="judging", completed=1.0, detail="")

    def _detail(self, record: RoundStarted, done: float) -> str:
        by_pace_s = (time.monotonic() - self._started) / done * (1 - done) if done else 0.0
        by_plan_s = (record.rounds - record.round_index) * record.expected_ns / NS_PER_S
        left_s = max(by_pace_s, by_plan_s)
        return f"round {record.round_index + 1}/{record.rounds}, about {left_s:.0f} s left"


class ProgressSink:
    """A Sink that shows every record and hands it on."""

    def __init__(self, progress: Progress, onward: Sink) -> None:
        self._progress = progress
        self._onward = onward

    def emit(self, record: Record) -> None:
        """Hand on first: what is drawn has been kept."""
        self._onward.emit(record)
        self._progress.show(record)
