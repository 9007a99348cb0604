"""What a launcher's last words mean: the line that tells most, and what to try."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 300  # one line of an error message; the rest is in the launcher's own output


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """Why a launch failed, as far as its output tells."""

    line: str
    """Empty when it said nothing."""
    remedy: str | None


_SAME_PLACE: Final = "the same Python and netprobe in the same place on every host"
_SSH: Final = "ssh to each host, which must work without a password"

# Best first: what netprobe itself says on a rank, then causes that launchers name, then what follows from those.
_KNOWN: Final[tuple[tuple[str, str | None], ...]] = (
    (r"netprobe: ", None),
    (
        r"not enough slots|more processes than (the ppr|cpus)|more processors requested",
        "--oversubscribe, or fewer ranks",
    ),
    (r"attempt to run as root", "a user other than root"),
    (
        r"could not resolve hostname|name or service not known|unable to resolve|invalid node name",
        "names that ssh knows",
    ),
    (r"permission denied|host key verification failed", _SSH),
    (r"no route to host|connection refused|connection timed out", f"{_SSH}, or --hosts without the dead ones"),
    (r"no module named '?netprobe", _SAME_PLACE),
    (r"no module named '?mpi4py", "pip install 'netprobe[mpi]' on every host"),
    (r"cannot load mpi library|libmpi\S*: cannot open", "an MPI module, or pip install 'netprobe[mpi]'"),
    (r"command not found|no such file or directory|execvp|execute an executable|access an executable", _SAME_PLACE),
    (r"unable to (find|launch|execute)|could not execute", _SAME_PLACE),
    (r"no space left on device|bus error", "room in /dev/shm and /tmp on the hosts"),
    (r"unable to create step|step creation", "netprobe outside of srun, or a job with free CPUs"),
    (r"listener thread failed", "TMPDIR on a disk of each host's own, where no files of another host lie"),
    (r"invalid mpi plugin|pmix?\S* .*(not found|unsupported|fail)", "SLURM_MPI_TYPE as srun --mpi=list shows"),
)
_RULE: Final = re.compile(r"-{20,}\s*")
_DECORATION: Final = re.compile(r"[\s=|*+_-]*")
_AFTERMATH: Final = re.compile(
    r"=+|\s*\||.*(BAD TERMINATION|YOUR APPLICATION TERMINATED|This typically refers|Please see the FAQ|cleanup handler)"
    r"|.*(non-zero (exit )?(code|status)|prterun has exited|mpiexec has exited|mpirun noticed)"
    r"|slurmstepd: error: \*\*\*|srun: (job|error: .* task)"
)


def complaint_in(lines: Sequence[str]) -> Complaint:
    """Return the most telling of a launcher's lines, and what to try."""
    plain = joined([_printable(line) for line in lines])
    for pattern, remedy in _KNOWN:
        known = next((line for line in plain if re.search(pattern, line, re.IGNORECASE)), None)
        if known is not None:
            return Complaint(line=_shortened(known), remedy=remedy)
    last = next((line for line in reversed(plain) if not _says_nothing(line)), "")
    return Complaint(line=_shortened(last), remedy=None)


def joined(lines: Iterable[str]) -> list[str]:
    """Return the lines with each text that Open MPI wraps between two rules in one, as far as it is one sentence."""
    whole: list[str] = []
    in_box = False
    for line in lines:
        if _RULE.fullmatch(line):
            in_box = not in_box
            if in_box:
                whole.append("")
        elif in_box:
            whole[-1] = f"{whole[-1]} {line.strip()}".strip()
        else:
            whole.append(line)
    return whole


def _says_nothing(line: str) -> bool:
    return bool(_DECORATION.fullmatch(line) or _AFTERMATH.match(line))


def _printable(line: str) -> str:
    """Return a line without control characters: it comes from any program on any host."""
    return "".join(each if each.isprintable() else " " for each in line)


def _shortened(line: str) -> str:
    text = " ".join(line.split()).removeprefix("netprobe: ")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
