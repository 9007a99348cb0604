"""What a host says of a job's processes, and of the paths from here to others; run on that host by the roll call.

Prints one line of JSON. Looks twice, a second apart, so that a slow rank can be told from a stuck one.
"""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from netprobe.environment import JOB_VARIABLE
from netprobe.model.standing import HostReport, RankStanding, RankState
from netprobe.store.encoding import json_line
from netprobe.store.whereabouts import RANK_WORDS, position_of
from netprobe.telemetry._addresses import interfaces

LOOK_AGAIN_S: Final = 1.0
_USER_TICKS: Final = 11  # of /proc/PID/stat, counted from the state; those in the system follow
_STATES: Final = {"T": RankState.STOPPED, "t": RankState.STOPPED, "D": RankState.BLOCKED, "Z": RankState.GONE,
                  "X": RankState.GONE}  # fmt: skip


def ranks_of(mark: str, proc: Path = Path("/proc")) -> tuple[RankStanding, ...]:
    """Return the ranks of the job with this mark that live on this host."""
    setting = f"{JOB_VARIABLE}={mark}".encode()
    return tuple(_standing(process) for process in _processes(proc) if _is_rank(process, setting))


def report_on(mark: str, proc: Path = Path("/proc"), pause_s: float = LOOK_AGAIN_S) -> HostReport:
    """Return two looks at the ranks of a job, and this host's interfaces."""
    first, first_bytes = ranks_of(mark, proc), moved_bytes(proc)
    time.sleep(pause_s)
    second, second_bytes = ranks_of(mark, proc), moved_bytes(proc)
    return HostReport(
        before=first,
        ranks=second,
        moved_bytes=second_bytes - first_bytes,
        interfaces=interfaces(),
    )


def moved_bytes(proc: Path = Path("/proc")) -> int:
    """Return the bytes that all interfaces but the loopback have sent and received."""
    total = 0
    with suppress(OSError):
        for line in (proc / "net/dev").read_text().splitlines()[2:]:
            name, _, counts = line.partition(":")
            fields = counts.split()
            if name.strip() != "lo" and len(fields) > 8:
                total += int(fields[0]) + int(fields[8])
    return total


def _processes(proc: Path) -> Iterator[Path]:
    return proc.glob("[0-9]*")


def _is_rank(process: Path, setting: bytes) -> bool:
    with suppress(OSError):  # ended meanwhile, or somebody else's
        return (process / "cmdline").read_bytes().split(b"\0")[1:4] == list(RANK_WORDS) and setting in (
            process / "environ"
        ).read_bytes().split(b"\0")
    return False


def _standing(process: Path) -> RankStanding:
    state, activity = RankState.GONE, None
    with suppress(OSError, IndexError, ValueError):
        # The name between the brackets may hold anything, brackets too.
        fields = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
        state = _STATES.get(fields[0], RankState.RUNS)
        switches = re.findall(r"ctxt_switches:\s+(\d+)", (process / "status").read_text(errors="replace"))
        activity = sum(int(each) for each in (*fields[_USER_TICKS : _USER_TICKS + 2], *switches))
    return RankStanding(pid=int(process.name), state=state, position=position_of(process), activity=activity)


def main(mark: str) -> None:
    """Print the report."""
    sys.stdout.buffer.write(json_line(report_on(mark)) + b"\n")
