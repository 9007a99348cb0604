"""Watch a launch: hand on what rank 0 tells, end it when it hangs or when somebody asks, and say how it ended.

Does not judge what was measured.
"""

import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from netprobe.contracts import Sink
from netprobe.errors import LaunchError, StoreError
from netprobe.interrupts import asked_to_stop, interrupts
from netprobe.launch.complaints import complaint_in
from netprobe.launch.happenings import Exited, Expired, Happening, Interrupted, Line, Source, happenings
from netprobe.launch.job import JobEnd, LaunchTimeout, Listeners, Patience
from netprobe.launch.processes import LauncherProcess, started
from netprobe.model.record import RanksDone, RanksReady, Record, RoundStarted
from netprobe.model.run import RunStatus
from netprobe.store.wire import LineDecoder
from netprobe.units import format_duration

KEPT_LINES: Final = 200
_REFUSAL: Final = re.compile(r"rank \d+: (.+)")
"""What a rank says of itself when it could start, but not do what was asked: session.ranks.open_session."""


def supervise(
    argv: Sequence[str],
    environ: Mapping[str, str],
    sink: Sink,
    *,
    expected_ranks: int,
    patience: Patience | None = None,
    listeners: Listeners | None = None,
) -> JobEnd:
    """Start the launcher, hand each record to ``sink`` as it comes, and return how the job ended.

    ``environ`` is the launcher's whole environment; ``listeners`` hear what is no record. Ctrl-C
    and SIGTERM end the job, and a second one kills it. LaunchError: the ranks could not be started, or did not meet as
    one world of ``expected_ranks``; the sink has then got nothing. StoreError: the sink refused the first record.
    """
    with interrupts() as signals, started(argv, environ) as launcher:
        (listeners or Listeners()).on_start(launcher.mark)
        watch = _Watch(launcher, sink, expected_ranks, patience or Patience(), listeners or Listeners())
        for happening in happenings(launcher.popen, signals, watch.left_ns):
            watch.take(happening)
            if watch.is_over:
                break
        launcher.kill()
        if asked_to_stop(signals):  # meanwhile
            watch.note_interrupt()
        return watch.end()


class _Watch:
    """The state of one supervised launch."""

    def __init__(
        self, launcher: LauncherProcess, sink: Sink, expected_ranks: int, patience: Patience, listeners: Listeners
    ) -> None:
        self.is_over = False
        self._listeners = listeners
        self._launcher = launcher
        self._sink = sink
        self._expected_ranks = expected_ranks
        self._patience = patience
        self._decoder = LineDecoder()
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)
        self._is_ready = False
        self._round: RoundStarted | None = None
        self._done: RanksDone | None = None
        self._refusal: LaunchError | None = None
        self._ended_by_us: tuple[RunStatus, str] | None = None
        self._is_killed = False
        self._is_hung = False
        self._is_condemned = False
        self._was_interrupted = False
        self._last_record_ns = time.monotonic_ns()
        self._has_exited = False
        self._arm(patience.meeting_ns)

    def left_ns(self) -> int:
        """Return the time until the deadline."""
        return self._deadline_ns - time.monotonic_ns()

    def take(self, happening: Happening) -> None:
        """Do what a happening asks for."""
        match happening:
            case Line(source=Source.OUTPUT, text=text):
                self._take_output(text)
            case Line(text=text):
                self._take_chatter(text)
            case Interrupted():
                self._take_interrupt()
            case Exited():
                self._has_exited = True
                self._arm(self._patience.draining_ns)
            case Expired():
                self._take_expiry()

    def note_interrupt(self) -> None:
        """Note that somebody asked to stop, where nothing has to be ended for it any more."""
        self._ended_by_us = (RunStatus.INTERRUPTED, f"interrupted{self._where()}")

    def end(self) -> JobEnd:
        """Return how it ended; raise LaunchError when it never began and nobody asked to stop."""
        code = self._launcher.popen.returncode
        if self._ended_by_us is not None:
            return self._job_end(*self._ended_by_us)
        if self._refusal is not None:
            raise self._refusal
        if not self._is_ready:
            raise self._never_met(code)
        if self._done is None:
            return self._job_end(RunStatus.FAILED, self._with_complaint(f"the ranks ended{self._where()}", code))
        if self._done.error is not None:
            return self._job_end(RunStatus.FAILED, self._done.error)
        if code != 0:
            return self._job_end(
                RunStatus.FAILED, self._with_complaint("all was measured, but the launcher ended", code)
            )
        return self._job_end(RunStatus.COMPLETE, None)

    def _take_output(self, text: str) -> None:
        try:
            held = self._decoder.decode(text)
        except StoreError as error:
            self._take_damage(error)
            return
        for each in held:
            if isinstance(each, str):
                self._take_chatter(each)
            else:
                self._take_record(each)

    def _take_chatter(self, text: str) -> None:
        self._kept.append(text)
        self._listeners.on_chatter(text)

    def _take_record(self, record: Record) -> None:
        if self._refusal is not None:
            return
        if isinstance(record, RanksReady) and len(record.ranks) != self._expected_ranks:
            self._refuse(self._wrong_world(record))
            return
        try:
            self._sink.emit(record)
        except StoreError as error:
            if not self._is_ready:
                raise
            # What was kept before can still be judged.
            self._end_job(RunStatus.FAILED, str(error))
            return
        self._last_record_ns = time.monotonic_ns()
        # The deadline starts here: what the sink takes to write is not the ranks' time.
        self._follow(record)

    def _follow(self, record: Record) -> None:
        if self._ended_by_us is not None:
            return
        self._is_condemned = False
        match record:
            case RoundStarted():
                self._round = record
                self._arm(max(self._patience.round_floor_ns, self._patience.round_factor * record.expected_ns))
            case RanksDone():
                self._done = record
                self._arm(self._patience.ending_ns)
            case _:
                self._is_ready = True
                self._arm(self._patience.round_floor_ns)

    def _take_damage(self, error: StoreError) -> None:
        if self._is_ready:
            self._end_job(RunStatus.FAILED, str(error))
        else:
            self._refuse(LaunchError(f"{self._launcher.name} started ranks that cannot be understood: {error}"))

    def _take_interrupt(self) -> None:
        before, self._was_interrupted = self._was_interrupted, True
        if self._ended_by_us is None:
            self._end_job(RunStatus.INTERRUPTED, f"interrupted{self._where()}")
        elif before:
            self._kill()
        else:  # it was being ended for another reason: whoever asks to stop wants no other launch after it
            self.note_interrupt()

    def _take_expiry(self) -> None:
        if self._has_exited or self._is_killed:
            self.is_over = True
        elif self._ended_by_us is not None or self._refusal is not None:
            self._kill()
        elif self._done is None and not self._is_condemned:
            self._is_condemned = not self._listeners.on_silence()
            # What came while somebody asked around is still to be read, and a record of it lifts the sentence.
            if self._is_condemned:
                self._deadline_ns = time.monotonic_ns() + self._patience.reprieve_ns
            else:
                self._arm(self._patience.round_floor_ns)
        elif not self._is_ready:
            self._refuse(self._too_late())
        elif self._done is not None:
            allowed = format_duration(self._patience.ending_ns)
            self._end_job(RunStatus.FAILED, f"all was measured, but the ranks did not end within {allowed}")
        else:
            self._is_hung = True
            silence = format_duration(time.monotonic_ns() - self._last_record_ns)
            self._end_job(RunStatus.FAILED, f"the ranks hung{self._where()}: nothing came for {silence}")

    def _refuse(self, error: LaunchError) -> None:
        if self._refusal is None:
            self._refusal = error
            self._ask_to_end()

    def _end_job(self, status: RunStatus, error: str) -> None:
        if self._ended_by_us is None:
            self._ended_by_us = (status, error)
            self._ask_to_end()

    def _ask_to_end(self) -> None:
        self._launcher.ask_to_end()
        self._arm(self._patience.grace_ns)

    def _kill(self) -> None:
        self._is_killed = True
        self._launcher.kill()
        self._arm(self._patience.draining_ns)

    def _arm(self, allowed_ns: int) -> None:
        self._allowed = format_duration(allowed_ns)
        self._deadline_ns = time.monotonic_ns() + allowed_ns

    def _where(self) -> str:
        if self._round is None:
            return " before the first round"
        return f" in {self._round.stage}, round {self._round.round_index + 1} of {self._round.rounds}"

    def _wrong_world(self, record: RanksReady) -> LaunchError:
        found, wanted = len(record.ranks), self._expected_ranks
        world = "each rank found itself alone" if found == 1 else f"{found} ranks met instead of {wanted}"
        name = self._launcher.name
        mpi = record.mpi.partition(",")[0]
        if name.endswith("srun"):
            return LaunchError(
                f"{name} started {wanted} ranks, but {world}: Slurm's default for MPI does not fit {mpi}",
                remedy="SLURM_MPI_TYPE=pmix or pmi2; srun --mpi=list shows what there is",
            )
        return LaunchError(
            f"{name} started {wanted} ranks, but {world}: it does not belong to {mpi}",
            remedy="--mpiexec with the launcher of that MPI, or MPI4PY_LIBMPI with the launcher's libmpi.so",
        )

    def _too_late(self) -> LaunchError:
        complaint = complaint_in(self._kept)
        said = f"; it said {complaint.line!r}" if complaint.line else ""
        return LaunchTimeout(
            f"{self._launcher.name} brought no {self._expected_ranks} ranks together within {self._allowed}{said}",
            remedy=complaint.remedy or "-v for its own output, or fewer hosts",
        )

    def _never_met(self, code: int) -> LaunchError:
        complaint = complaint_in(self._kept)
        refusal = _REFUSAL.match(complaint.line)
        if refusal:
            return LaunchError(refusal[1])
        why = complaint.line or "it said nothing"
        remedy = complaint.remedy or (None if "; try: " in why else "-v for its own output")
        return LaunchError(f"{self._launcher.name} could not start the ranks ({_ending(code)}): {why}", remedy=remedy)

    def _with_complaint(self, what: str, code: int) -> str:
        complaint = complaint_in(self._kept)
        said = f": {complaint.line}" if complaint.line else ""
        advice = f"; try: {complaint.remedy}" if complaint.remedy else ""
        return f"{what} ({_ending(code)}){said}{advice}"

    def _job_end(self, status: RunStatus, error: str | None) -> JobEnd:
        code = self._launcher.popen.returncode
        return JobEnd(
            status=status,
            error=error,
            exit_code=code if code is not None and code >= 0 else None,
            stage=None if self._round is None else self._round.stage,
            round_index=None if self._round is None else self._round.round_index,
            is_hung=self._is_hung,
            silent_ns=time.monotonic_ns() - self._last_record_ns,
            lines=tuple(self._kept),
        )


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
