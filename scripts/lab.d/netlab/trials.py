"""Faults to try `netprobe check` with, what it has to say of each, and what it did say.

The matrix of tests/labs and scripts/soak take their faults from here.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from netlab.errors import LabError
from netlab.faults import Direction, Fault, Kind
from netlab.lab import Lab

PATIENCE_S: Final = 240
LOOK_S: Final = 0.05
SETTLED_ROUNDS: Final = 3
"""Rounds that a run has finished when a fault strikes in the middle of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A fault, and the one finding that it calls for."""

    name: str
    """As in the table of the README."""
    detector: str
    says: str
    """What the summary holds: the direction, or what became of the process."""
    strike: Callable[[Lab, str], None]
    """Do it to a host."""
    is_sudden: bool = False
    """Whether it strikes in the middle of the run, and not before it."""
    subjects: Callable[[str], tuple[str, ...]] = field(default=lambda host: (host,))
    """Who has to be named for it."""
    options: tuple[str, ...] = ()
    """Of `netprobe check`, for a fault that its random partners would miss by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run said."""

    exit_code: int
    findings: tuple[tuple[str, tuple[str, ...], str], ...]
    """Detector, subjects and summary of each."""
    elapsed_s: float
    run: Path | None
    output: str

    def mistakes(self, trial: Trial | None, host: str) -> list[str]:
        """Return what is wrong with the answer to a trial, or to no fault at all; empty when nothing is."""
        if trial is None:
            return [] if self.exit_code == 0 and not self.findings else [f"a fault was seen where none was: {self}"]
        expected = (trial.detector, trial.subjects(host))
        right = [each for each in self.findings if each[:2] == expected and trial.says in each[2]]
        mistakes = [f"besides, {each[:2]} was named: {each[2]}" for each in self.findings if each[:2] != expected]
        if not right:
            mistakes.insert(0, f"{expected} with {trial.says!r} was not among {self.findings}")
        if self.exit_code not in (1, 2):
            mistakes.append(f"exit code {self.exit_code}")
        return mistakes


def put(kind: Kind, direction: Direction = Direction.BOTH, amount: float | None = None) -> Callable[[Lab, str], None]:
    """Return what puts a fault on a host."""
    return lambda lab, host: lab.inject(Fault(kind=kind, target=host, direction=direction, amount=amount))


def far_from(host: str) -> str:
    """Return a host on the other leaf: of eight, h3's is h7, and h7's is h3."""
    number = int(host.removeprefix("h"))
    return f"h{(number + 3) % 8 + 1}"


def _path(host: str) -> tuple[str, ...]:
    return (f"{host} -> {far_from(host)}",)


def _lose_on_path(lab: Lab, host: str) -> None:
    target = f"{host}/{far_from(host)}"
    lab.inject(Fault(kind=Kind.PATH_LOSS, target=target, direction=Direction.TX, amount=0.02))


def _kill_host(lab: Lab, host: str) -> None:
    lab.kill_host(host)


def _kill_rank(lab: Lab, host: str) -> None:
    lab.kill_rank(host)


def _split(lab: Lab, host: str) -> None:
    """Cut a host and its neighbour off from all others."""
    pair = _pair_with(host)
    rest = [name for name in lab.shape.host_names() if name.startswith("h") and name not in pair]
    lab.inject(Fault(kind=Kind.PARTITION, target=f"{','.join(pair)}/{','.join(rest)}"))


def _pair_with(host: str) -> tuple[str, ...]:
    number = int(host.removeprefix("h"))
    first = number - 1 + number % 2
    return (f"h{first}", f"h{first + 1}")


def _slow_down(direction: Direction) -> Callable[[Lab, str], None]:
    """Return what lets a host's port carry a third of what the others do."""
    return lambda lab, host: put(Kind.RATE, direction, (lab.shape.rate_bps or 10**9) // 3)(lab, host)


TX, RX = Direction.TX, Direction.RX
TRIALS: Final = (
    Trial(name="1 % of what it sends is lost", detector="packet-loss", says="(tx)", strike=put(Kind.LOSS, TX, 0.01)),
    Trial(name="1 % of what it receives is lost", detector="packet-loss", says="(rx)",
          strike=put(Kind.LOSS, RX, 0.01)),
    Trial(name="2 % lost on one path, one way", detector="packet-loss", says="loses", strike=_lose_on_path,
          subjects=_path, options=("--all-pairs",)),
    Trial(name="its port sends at a third of the rate", detector="slow-link", says="sends",
          strike=_slow_down(TX)),
    Trial(name="its port receives at a third of the rate", detector="slow-link", says="receives",
          strike=_slow_down(RX)),
    Trial(name="its packets above 1,500 bytes vanish", detector="mtu", says="vanish", is_sudden=True,
          strike=put(Kind.MTU, Direction.BOTH, 1500)),
    Trial(name="nine tenths of its processor are taken away", detector="host-noise", says="quota",
          strike=put(Kind.CPU, amount=0.1)),
    Trial(name="it is down before the run", detector="dead-host", says="unreachable", strike=_kill_host),
    Trial(name="it goes down", detector="dead-host", says="unreachable", is_sudden=True, strike=_kill_host),
    Trial(name="all of its cables are cut", detector="dead-host", says="unreachable", is_sudden=True,
          strike=put(Kind.CUT)),
    Trial(name="its rank is killed", detector="dead-host", says="killed by signal 9", is_sudden=True,
          strike=_kill_rank),
    Trial(name="its processes are stopped", detector="hung-host", says="stopped", is_sudden=True,
          strike=put(Kind.PAUSE)),
    Trial(name="its rank is frozen", detector="hung-host", says="process does nothing", is_sudden=True,
          strike=put(Kind.STALL)),
    Trial(name="it and its neighbour are cut off", detector="partition", says="cut off", is_sudden=True,
          strike=_split, subjects=_pair_with),
)  # fmt: skip


def attempt(lab: Lab, netprobe: str, out: Path, trial: Trial | None, host: str) -> Outcome:
    """Run `netprobe check` on all hosts of a lab, with a fault or without; return what it said."""
    out.mkdir(parents=True, exist_ok=True)
    hosts = ",".join(name for name in lab.shape.host_names() if name.startswith("h"))
    if trial is not None and not trial.is_sudden:
        trial.strike(lab, host)
    options = () if trial is None else trial.options
    argv = [netprobe, "check", "--hosts", hosts, "--no-bind", "--out", str(out), *options]
    started = time.monotonic()
    before = {path.name for path in out.iterdir()}
    with lab.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            if trial is not None and trial.is_sudden:
                _when_it_runs(out, before, process)
                trial.strike(lab, host)
            output, _ = process.communicate(timeout=PATIENCE_S)
        except BaseException:
            process.kill()
            raise
    run = next((path for path in out.iterdir() if path.name not in before), None)
    findings = [] if run is None else _report(run).get("findings", [])
    return Outcome(
        exit_code=process.returncode,
        findings=tuple((each["detector"], tuple(each["subjects"]), each["summary"]) for each in findings),
        elapsed_s=time.monotonic() - started,
        run=run,
        output=output,
    )


def tidy(lab: Lab) -> None:
    """Make all hosts healthy again, and end the ranks that a host kept while it was cut off from everybody."""
    lab.clear()
    lab.revive()
    for host in lab.shape.host_names():
        for pid in lab.ranks(host):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def find_netprobe(given: str | None) -> str:
    """Return the netprobe to try; LabError when there is none."""
    found = given or shutil.which("netprobe")
    if found is None:
        raise LabError("there is no netprobe on PATH", remedy="--netprobe .venvs/mpich/bin/netprobe")
    return found


def _when_it_runs(out: Path, before: set[str], process: "subprocess.Popen[str]") -> None:
    """Return when some rounds of the run are finished; LabError when it ends before."""
    while process.poll() is None:
        for path in out.iterdir():
            if path.name not in before and _events(path).count('"kind":"round-finished"') >= SETTLED_ROUNDS:
                return
        time.sleep(LOOK_S)
    raise LabError(f"netprobe ended before the fault struck: {process.communicate()[0]}", remedy="a look at the lab")


def _events(run: Path) -> str:
    events = run / "events.jsonl"
    return events.read_text() if events.exists() else ""


def _report(run: Path) -> dict[str, Any]:
    report = run / "report.json"
    found: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
    return found
