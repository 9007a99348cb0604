"""Random faults against `netprobe check`, round after round, and what each round left behind."""

import argparse
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netlab.errors import LabError
from netlab.lab import Lab
from netlab.processes import PROC
from netlab.shape import Shape
from netlab.trials import TRIALS, Outcome, Trial, attempt, find_netprobe, tidy

CLEAN_SHARE: Final = 0.25
SETTLE_S: Final = 2.0
UNITS: Final = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What can be leaked."""

    processes: frozenset[int]
    """Of any netprobe run: all that carry its mark."""
    namespaces: frozenset[str]
    descriptors: int
    """Of this process, which starts every run."""

    @classmethod
    def now(cls) -> "Traces":
        """Return what there is."""
        return cls(
            processes=frozenset(_of_netprobe()),
            namespaces=frozenset(_namespaces()),
            descriptors=len(list((PROC / "self/fd").iterdir())),
        )

    def leaked_since(self, before: "Traces", excused: Collection[int]) -> Counter[str]:
        """Return what there is now and was not before; ``excused`` are processes on a host that nobody could reach."""
        return Counter(
            {
                "processes": len(self.processes - before.processes - set(excused)),
                "namespaces": len(self.namespaces - before.namespaces),
                "descriptors": max(self.descriptors - before.descriptors, 0),
            }
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; 0 when nothing at all went wrong."""
    options = _options(arguments)
    try:
        wrong = soak(options)
    except LabError as error:
        print(f"soak: {error}", file=sys.stderr)
        return error.exit_code
    return 1 if any(wrong.values()) else 0


def soak(options: argparse.Namespace) -> Counter[str]:
    """Return how often each thing went wrong."""
    netprobe = find_netprobe(options.netprobe)
    draw = random.Random(options.seed)
    shape = Shape(hosts=8, leaves=2, rate_bps=700_000_000)
    lab = Lab.up(shape, f"soak-{os.getpid()}-{secrets.token_hex(2)}")[0]
    out = Path(tempfile.mkdtemp(prefix="netprobe-soak-"))
    wrong: Counter[str] = Counter()
    try:
        attempt(lab, netprobe, out, None, "")  # what is opened once for all is no leak
        first = Traces.now()
        for number in _rounds(options):
            trial = None if draw.random() < CLEAN_SHARE else draw.choice(TRIALS)
            host = f"h{draw.randint(1, shape.hosts)}"
            found, outcome = _round(lab, netprobe, out, trial, host)
            wrong += found
            _tell(number, trial, host, outcome, found)
        time.sleep(SETTLE_S)
        last = Traces.now()
        wrong["processes at the end"] = len(last.processes - first.processes)
        wrong["descriptors at the end"] = max(last.descriptors - first.descriptors, 0)
    finally:
        lab.down()
        shutil.rmtree(out, ignore_errors=True)
    print(json.dumps({"seed": options.seed, **{name: count for name, count in wrong.items() if count}}))
    return wrong


def _round(lab: Lab, netprobe: str, out: Path, trial: Trial | None, host: str) -> tuple[Counter[str], Outcome | None]:
    """Return what went wrong in a round, and what was said; the lab is healthy again afterwards."""
    begin = Traces.now()
    try:
        outcome = attempt(lab, netprobe, out, trial, host)
        time.sleep(SETTLE_S if trial else 0)
        found = Traces.now().leaked_since(begin, lab.ranks(host) if trial is not None and _cuts(trial) else ())
        found["wrong verdicts"] = bool(outcome.mistakes(trial, host))
        found["lost results"] = _is_lost(outcome)
    except (LabError, subprocess.TimeoutExpired) as error:
        print(f"      {error}", flush=True)
        return Counter({"hangs": 1}), None
    else:
        return found, outcome
    finally:
        tidy(lab)


def _rounds(options: argparse.Namespace) -> Iterator[int]:
    ends = time.monotonic() + (options.seconds or float("inf"))
    for number in range(1, (options.rounds or sys.maxsize) + 1):
        if time.monotonic() > ends:
            return
        yield number


def _cuts(trial: Trial) -> bool:
    """Return whether nobody could end what ran on the host: that ends by itself, minutes later."""
    return "cables" in trial.name


def _is_lost(outcome: Outcome) -> bool:
    """Return whether a run has no report, or less than the rounds that its log tells of."""
    if outcome.run is None or not (outcome.run / "report.json").exists():
        return True
    header = json.loads((outcome.run / "run.json").read_text())
    kept = {each["stage"] for each in header["outcomes"]}
    events = [json.loads(line) for line in (outcome.run / "events.jsonl").read_text().splitlines()]
    return any(event["kind"] == "round-finished" and event["stage"] not in kept for event in events)


def _tell(number: int, trial: Trial | None, host: str, outcome: Outcome | None, found: Counter[str]) -> None:
    what = "no fault" if trial is None else f"{host}: {trial.name}"
    bad = ", ".join(f"{name} {count}" for name, count in found.items() if count)
    took = "-" if outcome is None else f"{outcome.elapsed_s:.1f} s"
    print(f"{number:4}  {took:>7}  {what}  {bad or 'right'}", flush=True)
    for mistake in () if outcome is None else outcome.mistakes(trial, host):
        print(f"      {mistake}", flush=True)


def _of_netprobe() -> Iterator[int]:
    for process in PROC.iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # ended meanwhile
                if b"NETPROBE_JOB=" in (process / "environ").read_bytes():
                    yield int(process.name)


def _namespaces() -> Iterator[str]:
    for process in PROC.iterdir():
        if process.name.isdigit():
            try:
                yield str((process / "ns/net").readlink())
            except OSError:
                continue


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description="Random faults against netprobe check; needs root.")
    parser.add_argument("--rounds", type=int, help="how many; without this and --for: 100")
    parser.add_argument("--for", dest="seconds", type=_seconds, metavar="TIME", help="as in 90s, 30m or 2h")
    parser.add_argument("--seed", type=int, default=1, help="of the faults drawn; 1 by default")
    parser.add_argument("--netprobe", help="the program; the one on PATH by default")
    options = parser.parse_args(arguments)
    if options.rounds is None and options.seconds is None:
        options.rounds = 100
    return options


def _seconds(text: str) -> float:
    try:
        return float(text[:-1]) * UNITS[text[-1:]]
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 30m or 2h") from None
