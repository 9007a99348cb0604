"""Which environment variables travel to the ranks, and which of them a run directory may show.

Both are allow-lists: an environment holds passwords, and a run directory is handed around.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from netprobe.errors import PlanError

_LIBRARY_SETTINGS: Final = ("NCCL_", "UCX_", "OMPI_MCA_", "PMIX_MCA_", "PRTE_MCA_", "MPICH_", "MPIR_", "FI_", "I_MPI_",
                            "MV2_", "MPI4PY_")  # fmt: skip
_VISIBLE_DEVICES: Final = ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")

FORWARDED_PREFIXES: Final = (*_LIBRARY_SETTINGS, "NETPROBE_")
FORWARDED_NAMES: Final = (*_VISIBLE_DEVICES, "PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV",
                          "OPAL_PREFIX")  # fmt: skip

RECORDED_PREFIXES: Final = _LIBRARY_SETTINGS
RECORDED_NAMES: Final = (*_VISIBLE_DEVICES, "SLURM_JOB_ID", "SLURM_JOB_PARTITION", "SLURM_JOB_NODELIST",
                         "SLURM_NNODES", "SLURM_NTASKS", "SLURM_TASKS_PER_NODE", "SLURM_MPI_TYPE",
                         "SLURM_TOPOLOGY_ADDR", "SLURM_TOPOLOGY_ADDR_PATTERN")  # fmt: skip
_SET_BY_OPEN_MPI: Final = ("OMPI_MCA_PREFIXES", "OMPI_MCA_num_procs", "OMPI_MCA_initial_wdir", "OMPI_MCA_cpu_type",
                           "OMPI_MCA_orte_", "OMPI_MCA_ess_", "OMPI_MCA_pmix", "OMPI_MCA_mpi_oversubscribe",
                           "OMPI_MCA_shmem_")  # fmt: skip
_SECRET: Final = re.compile("KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)

# What a launcher tells its own ranks. A rank that inherits it from an outer launcher would look for that one's job.
_RANK_MARKS: Final = ("PMI_FD", "PMI_ID", "PMI_PORT", "PMI_RANK", "PMI_SIZE", "PMI_SPAWNED", "PMIX_NAMESPACE",
                      "PMIX_RANK", "PMIX_SERVER_", "OMPI_COMM_WORLD_", "OMPI_UNIVERSE_", "PRTE_LAUNCHED")  # fmt: skip
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# What makes a waiting rank give its core to another. Yielding is not enough for the schedulers of Linux 6.6 and later.
# `check -n 5` on two cores: Open MPI 5 ends in 12 s; MPICH 5 in 14 s, in 34 s with throttling alone, else never.
_GIVING_WAY: Final = {
    "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1",
    "MPIR_CVAR_CH4_PROGRESS_THROTTLE": "1",
    "MPIR_CVAR_CH4_PROGRESS_THROTTLE_NO_PROGRESS_COUNT": "100",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}

ABORT_LATE: Final = {"OMPI_MCA_mpi_abort_delay": "1"}
"""For Open MPI, in s: ranks that lost a peer end the job, and within that time its launcher says which rank it was."""

JOB_VARIABLE: Final = "NETPROBE_JOB"
"""Marks the processes of one launch, so that whoever ends it finds those that its launcher lost."""


def recorded_environment(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the settings of communication libraries and of the allocation, by name; never a secret."""
    return tuple((name, environ[name]) for name in sorted(environ) if _is_recorded(name))


def forwarded_names(environ: Mapping[str, str], asked: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the variables that the ranks get, sorted; raise PlanError for one that was asked for and is not set."""
    for name in asked:
        if not _NAME.fullmatch(name):
            raise PlanError(f"--forward {name!r} is not the name of an environment variable", remedy="--forward NAME")
        if name not in environ:
            raise PlanError(f"--forward {name}: it is not set here", remedy=f"export {name}=...")
    return tuple(sorted(name for name in environ if name in asked or _is_forwarded(name)))


def launch_settings(library: Path | None, environ: Mapping[str, str], *, oversubscribe: bool) -> dict[str, str]:
    """Return the variables to set for ranks that load this MPI library; what the user has set already stays."""
    wanted = dict(_GIVING_WAY) if oversubscribe else {}
    if library is not None:
        wanted["MPI4PY_LIBMPI"] = str(library)
    return {name: value for name, value in wanted.items() if name not in environ}


def launcher_environment(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the launcher itself: this one, without an outer launcher's marks, with ``settings``."""
    kept = {name: value for name, value in environ.items() if not _is_mark(name)}
    return {**kept, **settings}


def _is_recorded(name: str) -> bool:
    is_setting = name.startswith(RECORDED_PREFIXES) and not name.startswith(_SET_BY_OPEN_MPI)
    return (is_setting or name in RECORDED_NAMES) and not _SECRET.search(name)


def _is_forwarded(name: str) -> bool:
    return (name in FORWARDED_NAMES or name.startswith(FORWARDED_PREFIXES)) and not _is_mark(name)


def _is_mark(name: str) -> bool:
    return name.startswith(_RANK_MARKS)


LAST_VARIABLE: Final = "NETPROBE_LAST"
"""Put behind all others: Hydra (MPICH 5.0.2) does not hand the last variable of its environment to other hosts."""
