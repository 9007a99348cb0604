"""Where netprobe was started: as a rank of somebody's MPI job, inside a Slurm allocation, or neither.

Variables are those that the launchers set for their ranks: Open MPI (OMPI_COMM_WORLD_*), Hydra (PMI_*,
MPI_LOCALNRANKS), PRRTE (PMIX_RANK) and srun (SLURM_STEP_*, SLURM_PROCID).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_TASKS: Final = re.compile(r"(\d+)(?:\(x(\d+)\))?")  # Slurm's run-length code: 2(x3),1
_RANKS: Final = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """A rank that somebody else started: the processes of that job are the ranks."""

    launcher: str
    size: int | None
    """Ranks in the job; None when the launcher does not tell before MPI is initialised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Inside a Slurm job, but not as one of several ranks: a batch script or an interactive shell."""

    job_id: str
    nodelist: str
    """NodeSet syntax; empty when Slurm does not tell."""
    nodes: int
    tasks_per_node: int | None
    """As the job asked for; None when it did not."""
    cpus_per_node: int | None
    """On the node that has fewest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """No launcher and no resource manager."""


Surroundings = External | Allocation | Bare


def detect(environ: Mapping[str, str]) -> Surroundings:
    """Return where this process runs, by its environment."""
    allocation = _allocation(environ)
    external = _rank_of_mpiexec(environ) or _rank_of_step(environ)
    if external is None and allocation is None:
        external = _rank_of_unknown(environ)
    return external or allocation or Bare()


def rank_of(environ: Mapping[str, str]) -> int:
    """Return the number of this rank among those that somebody else started, by its environment; 0 for no rank."""
    if not isinstance(detect(environ), External):
        return 0
    return next((rank for name in _RANKS if (rank := _number(environ, name)) is not None), 0)


def _rank_of_mpiexec(environ: Mapping[str, str]) -> External | None:
    """Return the job of an mpiexec; variables that srun may set as well do not count."""
    if "OMPI_COMM_WORLD_RANK" in environ and "OMPI_COMM_WORLD_SIZE" in environ:
        return External(launcher="Open MPI's mpiexec", size=_number(environ, "OMPI_COMM_WORLD_SIZE"))
    if "MPI_LOCALNRANKS" in environ and "PMI_RANK" in environ:
        return External(launcher="MPICH's mpiexec", size=_number(environ, "PMI_SIZE"))
    return None


def _rank_of_step(environ: Mapping[str, str]) -> External | None:
    """Return the job of an srun with several tasks.

    A batch script has SLURM_PROCID too, and so has ``srun --pty bash``, whose step has one task: neither is a rank.
    """
    size = _number(environ, "SLURM_STEP_NUM_TASKS")
    if "SLURM_STEP_ID" in environ and "SLURM_PROCID" in environ and size is not None and size > 1:
        return External(launcher="srun", size=size)
    return None


def _rank_of_unknown(environ: Mapping[str, str]) -> External | None:
    """Return the job of a launcher that speaks PMI or PMIx; inside Slurm these are also set for single shells."""
    if "PMI_RANK" in environ and "PMI_SIZE" in environ:
        return External(launcher="a PMI launcher", size=_number(environ, "PMI_SIZE"))
    if "PMIX_RANK" in environ:
        return External(launcher="a PMIx launcher", size=None)
    return None


def _allocation(environ: Mapping[str, str]) -> Allocation | None:
    if "SLURM_JOB_ID" not in environ:
        return None
    nodes = _number(environ, "SLURM_JOB_NUM_NODES") or _number(environ, "SLURM_NNODES") or 1
    cpus = per_node_counts(environ.get("SLURM_JOB_CPUS_PER_NODE", ""))
    return Allocation(
        job_id=environ["SLURM_JOB_ID"],
        nodelist=environ.get("SLURM_JOB_NODELIST", ""),
        nodes=nodes,
        tasks_per_node=_number(environ, "SLURM_NTASKS_PER_NODE"),
        cpus_per_node=min(cpus) if cpus else _number(environ, "SLURM_CPUS_ON_NODE"),
    )


def per_node_counts(text: str) -> tuple[int, ...]:
    """Return the numbers in Slurm's run-length code, ``2(x3),1`` being 2, 2, 2, 1; empty when it is another text."""
    matches = [_TASKS.fullmatch(part) for part in text.split(",")]
    found = [match for match in matches if match is not None]
    if len(found) < len(matches):
        return ()
    return tuple(int(match[1]) for match in found for _ in range(min(int(match[2] or 1), 65_536)))


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else None
