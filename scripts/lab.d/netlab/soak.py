"""Random faults against `netprobe check`, round after round, and what each round left behind."""

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from netlab.attempts import Outcome, attempt, find_netprobe, tidy
from netlab.errors import LabError, refused
from netlab.kept import losses_of, python_of
from netlab.lab import Lab
from netlab.processes import described
from netlab.shape import FABRIC, Shape
from netlab.signals import ended_by_signals
from netlab.traces import growth, left_on, namespaces_of, remains_of
from netlab.trials import TRIALS, Trial

CLEAN_SHARE: Final = 0.25
INTERRUPTED: Final = 130
UNITS: Final = {"s": 1, "m": 60, "h": 3600}


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a soak has come to so far."""

    seed: int
    rounds: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    """How often each thing went wrong."""

    def __str__(self) -> str:
        return json.dumps({"seed": self.seed, "rounds": self.rounds, **+self.wrong})


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Where rounds are played, and with which netprobe."""

    lab: Lab
    netprobe: str
    python: str
    """The one that netprobe runs under."""
    out: Path

    def play(self, trial: Trial | None, host: str) -> tuple[Counter[str], list[str]]:
        """Return how often each thing went wrong in a round, and words on each; the lab is healthy again afterwards."""
        try:
            outcome = attempt(self.lab, self.netprobe, self.out, trial, host)
            return self._judged(outcome, trial, host)
        except subprocess.TimeoutExpired as error:
            return Counter({"hangs": 1}), [str(error)]
        except LabError as error:
            return Counter({"failed attempts": 1}), [str(error)]
        finally:
            tidy(self.lab)

    def _judged(self, outcome: Outcome, trial: Trial | None, host: str) -> tuple[Counter[str], list[str]]:
        mistakes, losses = outcome.mistakes(trial, host), losses_of(outcome.run, self.python)
        left = self._left(trial, host)
        grown = growth(outcome.looks)
        words = [
            *mistakes,
            *losses,
            *(f"{where}: {described(pid)} is left" for where, pids in left.items() for pid in pids),
        ]
        if grown:
            words.append(f"netprobe held {grown} descriptors more in the end")
        wrong = Counter(
            {
                "wrong verdicts": int(bool(mistakes)),
                "lost results": int(bool(losses)),
                "leaked processes": sum(map(len, left.values())),
                "leaked descriptors": grown or 0,
                "unwatched runs": int(grown is None),
            }
        )
        return wrong, words

    def _left(self, trial: Trial | None, struck: str) -> dict[str, tuple[int, ...]]:
        # What runs beside the fabric's holder are the hosts' own; they count from within.
        hosts = {name: held for name, held in self.lab.state.holders.items() if name != FABRIC}
        return left_on(hosts, lambda host, pid: trial is not None and host == struck and trial.outlives(pid))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak; 0 when nothing at all went wrong, 128 and the signal's number when one ended it early."""
    options = _options(arguments)
    tally, code = Tally(seed=options.seed), 0
    try:
        with ended_by_signals():
            soak(options, tally)
    except (LabError, PermissionError) as error:
        known = error if isinstance(error, LabError) else refused(error)
        print(f"soak: {known}", file=sys.stderr)
        code = known.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as ended:  # by a signal
        code = int(ended.code or 0)
    print(tally, flush=True)
    return code or int(tally.wrong.total() > 0)


def soak(options: argparse.Namespace, tally: Tally) -> None:
    """Add to the tally round by round, and in the end what is left of the lab."""
    netprobe = find_netprobe(options.netprobe)
    python = python_of(netprobe)
    lab = Lab(name=f"soak-{os.getpid()}-{secrets.token_hex(2)}")
    namespaces: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="netprobe-soak-", ignore_cleanup_errors=True) as out:
        try:
            Lab.up(Shape(hosts=8, leaves=2, rate_bps=700_000_000), lab.name, outlives_maker=False)
            namespaces |= namespaces_of(lab.state)
            for _ in _rounds(options, tally, Course(lab=lab, netprobe=netprobe, python=python, out=Path(out))):
                namespaces |= namespaces_of(lab.state)  # hosts that were revived have new ones
        finally:
            lab.down()
            tally.wrong.update(
                {f"{what} of the lab": count for what, count in remains_of(lab.name, namespaces).items()}
            )


def _rounds(options: argparse.Namespace, tally: Tally, course: Course) -> Iterator[None]:
    """Play rounds until there were enough, and add each to the tally."""
    draw = random.Random(options.seed)
    ends = time.monotonic() + (options.seconds or float("inf"))
    while tally.rounds < (options.rounds or sys.maxsize) and time.monotonic() < ends:
        trial = None if draw.random() < CLEAN_SHARE else draw.choice(TRIALS)
        host = draw.choice(course.lab.shape.host_names())
        started = time.monotonic()
        wrong, words = course.play(trial, host)
        tally.rounds += 1
        tally.wrong.update(wrong)
        what = "no fault" if trial is None else f"{host}: {trial.name}"
        bad = ", ".join(f"{name} {count}" for name, count in wrong.items() if count)
        print(f"{tally.rounds:4}  {time.monotonic() - started:6.1f} s  {what}  {bad or 'right'}", flush=True)
        for each in words:
            print(f"      {each}", flush=True)
        yield


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
