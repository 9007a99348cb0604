"""What a launcher's last words tell of a rank that died: which, where, and of what."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.launch.complaints import joined

# What launchers say of a rank that a signal has ended: Hydra, Open MPI and PRRTE, srun.
_LOST: Final = (
    re.compile(r"(RANK (?P<rank>\d+) )?PID \d+ RUNNING AT (?P<host>\S+)"),
    re.compile(
        r"process rank (?P<rank>\d+) with PID \d+ on node (?P<host>\S+) exited on signal (?P<how>\d+ \([\w ]+\))"
    ),
    re.compile(
        r"srun: error: (?P<host>[\w.-]+): tasks? (?P<rank>\d+)[-,\d]*: (?P<how>Killed|Terminated|Segmentation fault)"
    ),
)
# Hydra's proxies on other hosts give a bare number for a signal: SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGSEGV, SIGTERM.
_BY_SIGNAL: Final = re.compile(r"(KILLED BY SIGNAL|EXIT CODE): (?P<how>(6|7|8|9|11|15)\b( \([\w ]+\))?)")
_WITNESS: Final = re.compile(r"^\s*Local host:\s+(?P<host>[\w.-]+)")
_VICTIM: Final = re.compile(r"^\[(?P<host>[\w.-]+):\d+\] (\*\*\* An error occurred|Delaying for)")
_PEER: Final = re.compile(r"^\s*Peer host:\s+(?P<host>[\w.-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A rank that its launcher says was ended by a signal."""

    rank: int | None
    """As MPI numbered it in that launch; None where the launcher names the host alone."""
    host: str
    how: str


def lost_rank(lines: Sequence[str]) -> Lost | None:
    """Return the rank that a launcher's last lines say was ended by a signal; None when they name none.

    Under Open MPI the peers of a rank that died may end the job before its launcher has noticed; then they say whom
    they lost, or nothing.
    """
    named = _ended_by_signal(joined(lines)) or _ended_by_signal(lines)
    if named is not None:
        return named
    # A rank that complains was alive when another was gone: one that dies of that loss is a victim.
    dead = _hosts(_PEER, lines) - _hosts(_WITNESS, lines) - _hosts(_VICTIM, lines)
    return Lost(rank=None, host=dead.pop(), how="its peers lost the connection to it") if len(dead) == 1 else None


def _hosts(pattern: re.Pattern[str], lines: Iterable[str]) -> set[str]:
    return {match["host"] for line in lines if (match := pattern.search(line))}


def _ended_by_signal(lines: Iterable[str]) -> Lost | None:
    named: Lost | None = None
    for line in lines:
        if named is not None and (signal := _BY_SIGNAL.search(line)):
            return replace(named, how=_ended_by(signal["how"]))
        for match in (match for pattern in _LOST if (match := pattern.search(line))):
            rank = None if match["rank"] is None else int(match["rank"])
            named = Lost(rank=rank, host=match["host"], how=match.groupdict().get("how") or "")
            if named.how:
                return replace(named, how=_ended_by(named.how))
    return None


def _ended_by(how: str) -> str:
    """Return a process's end in words: launchers give a number, some a name behind it, and srun the name alone."""
    return f"killed by signal {how}" if how[0].isdigit() else f"killed by a signal ({how})"
