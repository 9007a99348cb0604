"""Writes a run directory while the run goes on; whenever this process dies, what is there can be read.

The order of writing is the whole trick: a stage's series are on disk before run.json says that the stage is finished,
and each file is replaced in one step.
"""

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, assert_never

from netprobe import __version__
from netprobe.errors import StoreError
from netprobe.model.bursts import StepBin
from netprobe.model.counters import IDLE, CounterWindow
from netprobe.model.endpoint import Clock
from netprobe.model.finding import Gap
from netprobe.model.gpu import GpuWindow
from netprobe.model.history import Digest
from netprobe.model.inventory import INVENTORY_FORMAT, Inventories
from netprobe.model.plan import Plan
from netprobe.model.rdma import PairFailure
from netprobe.model.record import (
    GpusSampled,
    PlanExtended,
    RanksDone,
    RanksReady,
    Record,
    RoundFinished,
    RoundStarted,
    RunHalted,
    SpanCounted,
    StageFinished,
)
from netprobe.model.report import Report
from netprobe.model.run import RUN_FORMAT, Launch, RunHeader, RunStatus, StageOutcome
from netprobe.model.series import Series
from netprobe.store.counters_table import counters_frame_of
from netprobe.store.digest import write_digest
from netprobe.store.encoding import json_document, json_line
from netprobe.store.files import (
    COUNTERS_FILE,
    DIGEST_FILE,
    EVENTS_FILE,
    GPUS_FILE,
    INVENTORY_FILE,
    REPORT_FILE,
    RUN_FILE,
    SERIES_FILE,
    STEPS_FILE,
    write_atomically,
)
from netprobe.store.gpus_table import gpus_frame_of
from netprobe.store.series_table import frame_of, with_digest
from netprobe.store.soak import Soak
from netprobe.store.steps_table import steps_frame_of

if TYPE_CHECKING:
    import polars as pl

STEPS_EVERY = 10  # rounds of bursts: no more of them is lost when this process is killed
LOGGED_EVERY = 60  # rounds of bursts: a line for each would be all that the log of a night holds
ROOM_REMEDY = "free some space there, or --out DIRECTORY on another file system"


def _utc_now() -> datetime:
    return datetime.now(UTC)


def run_id_for(started: datetime, suffix: str) -> str:
    """Return an id such as ``2026-11-23T02-00-00Z-7f3a``: it sorts by time, and has no colon.

    Colons in file names are refused by SMB shares and taken for a host by scp and rsync.
    """
    return f"{started.astimezone(UTC):%Y-%m-%dT%H-%M-%SZ}-{suffix}"


class RunWriter:
    """A Sink that keeps what it is told in a run directory; StoreError when the directory cannot be written."""

    def __init__(self, directory: Path, header: RunHeader, *, now: Callable[[], datetime]) -> None:
        self.directory = directory
        self._header = header
        self._now = now
        # polars is loaded before the ranks run: it takes 0.4 s of a core
        self._series: pl.DataFrame = with_digest(frame_of(()))
        self._counters: pl.DataFrame = counters_frame_of(())
        self._gpus: pl.DataFrame = gpus_frame_of(())
        self._steps: list[StepBin] = []
        """Of finished stages."""
        self._stage = _OpenStage()
        self._write_header()
        self._log({"kind": "created", "id": header.id})

    @classmethod
    def create(  # noqa: PLR0913 - where, what, how, and the clock and chance that tests replace
        cls,
        root: Path,
        plan: Plan,
        launch: Launch,
        *,
        started: datetime,
        run_id: str | None = None,
        now: Callable[[], datetime] = _utc_now,
        suffix: Callable[[], str] = lambda: secrets.token_hex(2),
    ) -> Self:
        """Make the directory ``root/run_id`` and put the header there; StoreError if it exists or cannot be made."""
        identity = run_id or run_id_for(started, suffix())
        directory = root / identity
        try:
            root.mkdir(parents=True, exist_ok=True)
            directory.mkdir()
        except FileExistsError as error:
            taken = directory if root.is_dir() else root
            raise StoreError(f"{taken} exists already", remedy="--out with another directory") from error
        except OSError as error:
            raise StoreError(
                f"no run directory can be made in {root}: {error.strerror}",
                remedy="--out DIRECTORY where you may write",
            ) from error
        header = RunHeader(
            format=RUN_FORMAT,
            id=identity,
            netprobe=__version__,
            started=_timestamp(started),
            status=RunStatus.RUNNING,
            plan=plan,
            launch=launch,
        )
        try:
            return cls(directory, header, now=now)
        except StoreError:
            shutil.rmtree(directory, ignore_errors=True)  # nobody was told of it yet
            raise

    @property
    def header(self) -> RunHeader:
        """What run.json holds now."""
        return self._header

    def emit(self, record: Record) -> None:  # noqa: C901 - one case for each record
        """Keep a record; with a stage's last record its results are on disk when this returns."""
        if self._is_logged(record):
            self._log(_event_of(record))
        match record:
            case RanksReady():
                self._take_ranks(record)
            case RoundFinished():
                self._take_round(record)
            case SpanCounted():
                self._take_span(record)
            case GpusSampled():
                self._stage.gpus.extend(record.windows)
            case StageFinished():
                self._keep(record.outcome)
            case PlanExtended():
                self._change(replace(self._header, plan=record.plan))
            case RunHalted():
                self._change(_with_halt(self._header, record))
            case RanksDone():
                self._change(_with_end(self._header, record))
            case RoundStarted():
                pass
            case _:
                assert_never(record)

    def close(self, status: RunStatus, error: str | None = None) -> None:
        """Say how the run ended; an error given here outranks the one that the ranks told.

        The finished rounds of a stage that was cut short are kept as an incomplete stage.
        """
        if self._stage.id is not None:
            rounds = len(self._stage.rounds)
            self._keep(
                StageOutcome(stage=self._stage.id, rounds=rounds, planned_pairs=(), elapsed_ns=0, is_complete=False)
            )
        self._header = replace(
            self._header, status=status, error=error or self._header.error, finished=_timestamp(self._now())
        )
        self._write_header()
        self._log({"kind": "closed", "status": status, "error": self._header.error})

    def write_report(self, report: Report) -> None:
        """Put report.json beside the run."""
        self._write(REPORT_FILE, json_document(report))

    def write_digest(self, digest: Digest) -> None:
        """Put what history keeps of the run beside it."""
        with self._naming(DIGEST_FILE):
            write_digest(self.directory / DIGEST_FILE, digest)

    def _take_ranks(self, record: RanksReady) -> None:
        if not self._header.ranks and record.inventories:
            self._write(INVENTORY_FILE, json_document(Inventories(format=INVENTORY_FORMAT, hosts=record.inventories)))
        self._change(_with_ranks(self._header, record))

    def _take_round(self, record: RoundFinished) -> None:
        """Keep a round with its stage; what seconds of bursts were like is on disk before the stage has ended."""
        self._stage.add(record)
        if record.steps and record.round_index % STEPS_EVERY == 0:
            self._write_steps(self._stage)

    def _is_logged(self, record: Record) -> bool:
        if not isinstance(record, RoundStarted | RoundFinished):
            return True
        is_of_bursts = any(each.id == record.stage and each.bursts for each in self._header.plan.stages)
        return not is_of_bursts or record.round_index % LOGGED_EVERY == 0

    def _write_steps(self, stage: "_OpenStage") -> None:
        self._write_table(STEPS_FILE, steps_frame_of((*self._steps, *stage.soak.bins)))

    def _take_span(self, record: SpanCounted) -> None:
        """Keep what NICs counted: over a stage with what else it told, in an idle time at once."""
        if record.windows[0].stage in IDLE:
            self._counters = self._counters.vstack(counters_frame_of(record.windows))
            self._write_table(COUNTERS_FILE, self._counters)
        else:
            self._stage.counters.extend(record.windows)

    def _keep(self, outcome: StageOutcome) -> None:
        stage, self._stage = self._stage, _OpenStage()
        self._series = self._series.vstack(with_digest(frame_of(stage.series)))
        self._write_table(SERIES_FILE, self._series)
        self._counters = self._counters.vstack(counters_frame_of((*stage.counters, *stage.soak.windows())))
        self._write_table(COUNTERS_FILE, self._counters)
        if stage.soak.bins:
            self._write_steps(stage)
            self._steps.extend(stage.soak.bins)
        if stage.gpus:
            self._gpus = self._gpus.vstack(gpus_frame_of(stage.gpus))
            self._write_table(GPUS_FILE, self._gpus)
        # Only now: an interrupt between these lines may close the run, and must not promise what is not on disk.
        outcome = replace(outcome, gaps=(*outcome.gaps, *stage.gaps), failures=tuple(stage.failures))
        self._change(replace(self._header, outcomes=(*self._header.outcomes, outcome)))

    def _change(self, header: RunHeader) -> None:
        self._header = header
        self._write_header()

    def _write_table(self, name: str, frame: "pl.DataFrame") -> None:
        table = BytesIO()
        frame.write_parquet(table)
        self._write(name, table.getvalue())

    def _write_header(self) -> None:
        self._write(RUN_FILE, json_document(self._header))

    def _write(self, name: str, content: bytes) -> None:
        with self._naming(name):
            write_atomically(self.directory / name, content)

    def _log(self, event: dict[str, Any]) -> None:
        line = json_line({"at": _timestamp(self._now()), **event}) + b"\n"
        # Opened anew each time, and unbuffered: an event is a rare thing, and nothing is left to lose.
        with self._naming(EVENTS_FILE), (self.directory / EVENTS_FILE).open("ab", buffering=0) as file:
            file.write(line)

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"{self.directory / name} cannot be written: {error.strerror}; what it held before is kept",
                remedy=ROOM_REMEDY,
            ) from error


@dataclass
class _OpenStage:
    """The rounds that came since the last stage was written."""

    id: str | None = None
    rounds: set[int] = field(default_factory=set)
    series: list[Series] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    counters: list[CounterWindow] = field(default_factory=list)
    gpus: list[GpuWindow] = field(default_factory=list)
    failures: list[PairFailure] = field(default_factory=list)
    soak: Soak = field(default_factory=Soak)

    def add(self, record: RoundFinished) -> None:
        self.id = record.stage
        self.rounds.add(record.round_index)
        self.series.extend(record.series)
        self.gaps.extend(record.gaps)
        for each in record.steps:
            self.soak.add(each, record.counters)
        if not record.steps:
            self.counters.extend(record.counters)
        self.failures.extend(record.failures)


def _with_ranks(header: RunHeader, record: RanksReady) -> RunHeader:
    """Return the header with the ranks of the first launch; later ones are among those, and change nothing."""
    if header.ranks:
        return header
    return replace(
        header,
        ranks=record.ranks,
        plan=record.plan,
        launch=replace(header.launch, mpi=record.mpi),
        calibration=record.calibration,
        environment=record.environment,
        not_tested=record.not_tested,
        endpoints=record.endpoints,
        gpus=record.gpus,
        nccl=record.nccl,
    )


def _with_halt(header: RunHeader, record: RunHalted) -> RunHeader:
    return replace(
        header,
        benched=(*header.benched, *record.benched),
        paths=(*header.paths, *record.paths),
        stuck_pairs=(*header.stuck_pairs, *record.stuck_pairs),
        gaps=(*header.gaps, *record.gaps),
    )


def _with_end(header: RunHeader, record: RanksDone) -> RunHeader:
    newer = {each.rank: each for each in record.nccl}
    nccl = (*(each for each in header.nccl if each.rank not in newer), *record.nccl)
    return replace(header, clocks=_clocks_by_rank(header, record), error=record.error, nccl=nccl)


def _clocks_by_rank(header: RunHeader, record: RanksDone) -> tuple[Clock | None, ...]:
    clocks = dict(zip(record.ranks, record.clocks, strict=True))
    return tuple(clocks.get(rank.rank) for rank in header.ranks) if clocks else ()


def _event_of(record: Record) -> dict[str, Any]:  # noqa: C901 - one case for each record
    """Return what the event log says of a record: enough to see where time went, without figures or bulk."""
    match record:
        case RanksReady():
            hosts = {rank.host for rank in record.ranks}
            return {"kind": "ranks-ready", "ranks": len(record.ranks), "hosts": len(hosts), "mpi": record.mpi}
        case RoundStarted():
            return {
                "kind": "round-started",
                "stage": record.stage,
                "round_index": record.round_index,
                "rounds": record.rounds,
                "expected_ns": record.expected_ns,
            }
        case RoundFinished():
            return {
                "kind": "round-finished",
                "stage": record.stage,
                "round_index": record.round_index,
                "series": len(record.series),
                "gaps": len(record.gaps),
                "failures": len(record.failures),
            }
        case SpanCounted():
            return {"kind": "span-counted", "stage": record.windows[0].stage, "windows": len(record.windows)}
        case GpusSampled():
            return {"kind": "gpus-sampled", "stage": record.windows[0].stage, "windows": len(record.windows)}
        case StageFinished():
            return {"kind": "stage-finished", "stage": record.outcome.stage, "elapsed_ns": record.outcome.elapsed_ns}
        case PlanExtended():
            return {"kind": "plan-extended", "stages": [stage.id for stage in record.plan.stages]}
        case RunHalted():
            benched = [{"host": each.host, "fate": each.fate, "detail": each.detail} for each in record.benched]
            stuck = [each.hosts for each in record.stuck_pairs]
            return {"kind": "run-halted", "benched": benched, "stuck_pairs": stuck, "paths": len(record.paths)}
        case RanksDone():
            return {"kind": "ranks-done", "error": record.error}


def _timestamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
