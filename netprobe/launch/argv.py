"""A launch plan as the argument list of its launcher. Pure; never a shell string.

Options are those that Open MPI 4 and 5 share, and those that every Hydra and every Slurm since 20.11 knows.
"""

from typing import Final, assert_never

from netprobe.launch.hosts import folded
from netprobe.launch.request import Binding, Family, LaunchPlan

_SRUN_BINDING: Final = {Binding.CORE: "cores", Binding.HWTHREAD: "threads", Binding.NONE: "none"}


def argv_for(plan: LaunchPlan) -> tuple[str, ...]:
    """Return the command that starts all ranks of the plan."""
    match plan.launcher.family:
        case Family.MPICH:
            options = _hydra(plan)
        case Family.OPEN_MPI:
            options = _open_mpi(plan)
        case Family.SRUN:
            options = _srun(plan)
        case _:
            assert_never(plan.launcher.family)
    return (str(plan.launcher.path), *options, *plan.worker)


def _hydra(plan: LaunchPlan) -> tuple[str, ...]:
    # Hydra forwards the whole environment unless it is given a list.
    forward = ("-genvlist", ",".join(plan.forward)) if plan.forward else ("-genvnone",)
    binding = () if plan.binding is Binding.NONE else ("-bind-to", plan.binding.value)
    return (*_hydra_hosts(plan), *forward, *binding, "-n", str(plan.ranks))


def _hydra_hosts(plan: LaunchPlan) -> tuple[str, ...]:
    if plan.shares:
        return ("-hosts", _host_list(plan))
    if plan.allocation_hosts is not None:
        return ("-ppn", str(plan.ranks_per_host))
    # Hydra takes Slurm's or LSF's hosts where it finds their variables, unless it is given some.
    return ("-hosts", "localhost")


def _open_mpi(plan: LaunchPlan) -> tuple[str, ...]:
    root = ("--allow-run-as-root",) if plan.is_root else ()
    hosts, mapping = _open_mpi_hosts(plan)
    modifiers = [mapping]
    if plan.oversubscribe:
        modifiers.append("OVERSUBSCRIBE")
    if plan.binding is Binding.HWTHREAD:
        modifiers.append("HWTCPUS")
    # Open MPI forwards the settings of its own layers by itself.
    names = [name for name in plan.forward if not name.startswith(("OMPI_MCA_", "PRTE_MCA_", "PMIX_MCA_"))]
    forward = tuple(word for name in names for word in ("-x", name))
    placing = ("--map-by", ":".join(modifiers), "--bind-to", plan.binding.value)
    return (*root, *hosts, *placing, *forward, "-n", str(plan.ranks))


def _open_mpi_hosts(plan: LaunchPlan) -> tuple[tuple[str, ...], str]:
    """Return the options that name the hosts, and how ranks are dealt out to them."""
    if plan.shares:
        return ("--host", _host_list(plan)), "slot"
    if plan.allocation_hosts is not None:
        return (), f"ppr:{plan.ranks_per_host}:node"
    # Without a number of slots it would count physical cores, and refuse a rank on every hardware thread.
    return ("--host", f"localhost:{plan.ranks}"), "slot"


def _host_list(plan: LaunchPlan) -> str:
    return ",".join(f"{share.host}:{share.ranks}" for share in plan.shares)


def _srun(plan: LaunchPlan) -> tuple[str, ...]:
    hosts = (f"--nodelist={folded(share.host for share in plan.shares)}",) if plan.shares else ()
    nodes = len(plan.shares) or plan.allocation_hosts or 1
    overcommit = ("--overcommit",) if plan.oversubscribe else ()
    return (
        *hosts,
        f"--nodes={nodes}",
        f"--ntasks={plan.ranks}",
        f"--ntasks-per-node={plan.ranks_per_host}",
        f"--cpu-bind={_SRUN_BINDING[plan.binding]}",
        # With a list srun forwards nothing else, and Python looks for its user's packages under HOME.
        f"--export={','.join(('HOME', *plan.forward))}",
        # An interactive shell started by ``srun --pty`` holds the whole allocation, and a step inside it would wait.
        "--overlap",
        "--kill-on-bad-exit=1",
        *overcommit,
    )
