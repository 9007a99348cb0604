"""Run `netprobe check` on a lab with a fault or without, watch it from outside, and keep what it said."""

import json
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, TextIO

from netlab.errors import LabError
from netlab.lab import Lab
from netlab.processes import words_of
from netlab.shape import LOGIN
from netlab.traces import Look, descriptors_of
from netlab.trials import Trial

PATIENCE_S: Final = 240
LOOK_S: Final = 0.05
LOOK_AT_FILES_S: Final = 0.25
SETTLED_ROUNDS: Final = 3
"""Rounds that a run has finished when a fault strikes in the middle of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run said."""

    exit_code: int
    findings: tuple[tuple[str, tuple[str, ...], str], ...]
    """Detector, subjects and summary of each."""
    elapsed_s: float
    run: Path | None
    output: str
    looks: tuple[Look, ...] = ()
    """At the open descriptors of netprobe, in their order."""

    def mistakes(self, trial: Trial | None, host: str) -> list[str]:
        """Return what is wrong with the answer to a trial, or to no fault at all; empty when nothing is."""
        if trial is None:
            return [] if self.exit_code == 0 and not self.findings else [f"a fault was seen where none was: {self}"]
        expected = (trial.detector, trial.subjects(host))
        words = [each for each in (trial.says, trial.says_under_open_mpi) if each]
        right = [each for each in self.findings if each[:2] == expected and any(word in each[2] for word in words)]
        mistakes = [f"besides, {each[:2]} was named: {each[2]}" for each in self.findings if each[:2] != expected]
        if not right:
            mistakes.insert(0, f"{expected} with {trial.says!r} was not among {self.findings}")
        if self.exit_code not in (1, 2):
            mistakes.append(f"exit code {self.exit_code}")
        return mistakes


def attempt(lab: Lab, netprobe: str, out: Path, trial: Trial | None, host: str) -> Outcome:
    """Run `netprobe check` on all hosts of a lab, with a fault or without; return what it said."""
    out.mkdir(parents=True, exist_ok=True)
    hosts = ",".join(name for name in lab.shape.host_names() if name.startswith("h"))
    if trial is not None and not trial.is_sudden:
        trial.strike(lab, host)
    options = () if trial is None else trial.options
    argv = [netprobe, "check", "--hosts", hosts, "--no-bind", "--out", str(out), *options]
    started = time.monotonic()
    before = frozenset(path.name for path in out.iterdir())
    with TemporaryFile("w+") as said, lab.popen(argv, stdout=said, stderr=subprocess.STDOUT) as process:
        watched = _Watched(lab=lab, netprobe=netprobe, out=out, before=before, process=process, said=said)
        try:
            if trial is not None and trial.is_sudden:
                watched.wait_until_it_measures()
                trial.strike(lab, host)
            watched.wait_until_it_ends()
        except BaseException:
            process.kill()
            raise
        output = watched.output()
    run = watched.run
    findings = [] if run is None else _report(run).get("findings", [])
    return Outcome(
        exit_code=process.returncode,
        findings=tuple((each["detector"], tuple(each["subjects"]), each["summary"]) for each in findings),
        elapsed_s=time.monotonic() - started,
        run=run,
        output=output,
        looks=tuple(watched.looks),
    )


def tidy(lab: Lab) -> None:
    """Make all hosts healthy again, and end what is left on them: one that was cut off keeps its ranks for minutes."""
    lab.clear()
    lab.revive()
    for host in (LOGIN, *lab.shape.host_names()):
        lab.send_to_all(host, signal.SIGKILL)


def find_netprobe(given: str | None) -> str:
    """Return the netprobe to try; LabError when there is none."""
    found = given or shutil.which("netprobe")
    if found is None:
        raise LabError("there is no netprobe on PATH", remedy="--netprobe .venvs/mpich/bin/netprobe")
    return found


@dataclass(slots=True, kw_only=True)
class _Watched:
    """A `netprobe check` that runs on the login host."""

    lab: Lab
    netprobe: str
    out: Path
    before: frozenset[str]
    process: "subprocess.Popen[bytes]"
    said: TextIO
    looks: list[Look] = field(default_factory=list)
    pid: int | None = None
    """Its own, once it was found."""
    rounds: int = 0
    """Finished, at the last look."""

    @property
    def run(self) -> Path | None:
        """Its run directory, once there is one."""
        return next((path for path in self.out.iterdir() if path.name not in self.before), None)

    def output(self) -> str:
        """Return what it has said so far."""
        self.said.seek(0)
        return self.said.read()

    def wait_until_it_measures(self) -> None:
        """Return when some rounds are finished; LabError when it ends before."""
        while self.process.poll() is None:
            if self._log().count(_kind("round-finished")) >= SETTLED_ROUNDS:
                return
            self._look()
            time.sleep(LOOK_S)
        what = f"netprobe ended with {self.process.returncode} before the fault struck; it said: {self.output()}"
        raise LabError(what, remedy="a clean run")

    def wait_until_it_ends(self) -> None:
        """Return when it has ended; TimeoutExpired when it does not."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.netprobe, PATIENCE_S)
            self._look()
            time.sleep(LOOK_AT_FILES_S)

    def _look(self) -> None:
        """Count its descriptors if a round was finished since the last look.

        Else hosts may be asked, which takes some for a while, or a launch may be on its way out, which gives some back.
        """
        log = self._log()
        rounds, is_done = log.count(_kind("round-finished")), _kind("ranks-done") in log
        if rounds == self.rounds or is_done:
            return
        self.rounds = rounds
        self.pid = self.pid or self._pid()
        descriptors = None if self.pid is None else descriptors_of(self.pid)
        if descriptors is not None:
            self.looks.append(Look(launch=log.count(_kind("ranks-ready")), descriptors=descriptors))

    def _log(self) -> str:
        run = self.run
        events = None if run is None else run / "events.jsonl"
        return "" if events is None or not events.exists() else events.read_text()

    def _pid(self) -> int | None:
        words = {self.netprobe.encode(), b"check"}
        return next((pid for pid in self.lab.members(LOGIN) if words <= set(words_of(pid))), None)


def _kind(name: str) -> str:
    return f'"kind":"{name}"'


def _report(run: Path) -> dict[str, Any]:
    report = run / "report.json"
    found: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
    return found
