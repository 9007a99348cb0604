from dataclasses import replace
from pathlib import Path

import pytest

from netprobe.launch.argv import argv_for
from netprobe.launch.request import Binding, Family, HostShare, Launcher, LaunchPlan

WORKER = ("/venv/bin/python", "-m", "netprobe.session", "TOKEN")
LOCAL = LaunchPlan(
    method="local",
    launcher=Launcher(path=Path("/opt/mpi/bin/mpiexec"), family=Family.MPICH, version=""),
    worker=WORKER,
    ranks=2,
    forward=("NETPROBE_JOB", "OMPI_MCA_btl", "PATH"),
)
SHARES = (HostShare(host="node1", ranks=2), HostShare(host="node2", ranks=1))
HOSTS = replace(LOCAL, method="hosts", ranks=3, shares=SHARES)
SLURM = replace(LOCAL, method="slurm", ranks=8, allocation_hosts=4)
SHARED = {"oversubscribe": True, "binding": Binding.NONE}

HYDRA_ENV = "-genvlist NETPROBE_JOB,OMPI_MCA_btl,PATH"
OPEN_MPI_ENV = "-x NETPROBE_JOB -x PATH"
SRUN_END = "--export=HOME,NETPROBE_JOB,OMPI_MCA_btl,PATH --overlap --kill-on-bad-exit=1"

GOLDEN = [
    (Family.MPICH, LOCAL, f"-hosts localhost {HYDRA_ENV} -bind-to core -n 2"),
    (Family.MPICH, replace(LOCAL, binding=Binding.HWTHREAD), f"-hosts localhost {HYDRA_ENV} -bind-to hwthread -n 2"),
    (Family.MPICH, replace(LOCAL, ranks=5, **SHARED), f"-hosts localhost {HYDRA_ENV} -n 5"),
    (Family.MPICH, replace(LOCAL, forward=()), "-hosts localhost -genvnone -bind-to core -n 2"),
    (Family.MPICH, HOSTS, f"-hosts node1:2,node2:1 {HYDRA_ENV} -bind-to core -n 3"),
    (Family.MPICH, SLURM, f"-ppn 2 {HYDRA_ENV} -bind-to core -n 8"),
    (Family.OPEN_MPI, LOCAL, f"--host localhost:2 --map-by slot --bind-to core {OPEN_MPI_ENV} -n 2"),
    (
        Family.OPEN_MPI,
        replace(LOCAL, is_root=True),
        f"--allow-run-as-root --host localhost:2 --map-by slot --bind-to core {OPEN_MPI_ENV} -n 2",
    ),
    (
        Family.OPEN_MPI,
        replace(LOCAL, binding=Binding.HWTHREAD),
        f"--host localhost:2 --map-by slot:HWTCPUS --bind-to hwthread {OPEN_MPI_ENV} -n 2",
    ),
    (
        Family.OPEN_MPI,
        replace(LOCAL, ranks=5, **SHARED),
        f"--host localhost:5 --map-by slot:OVERSUBSCRIBE --bind-to none {OPEN_MPI_ENV} -n 5",
    ),
    (Family.OPEN_MPI, HOSTS, f"--host node1:2,node2:1 --map-by slot --bind-to core {OPEN_MPI_ENV} -n 3"),
    (Family.OPEN_MPI, SLURM, f"--map-by ppr:2:node --bind-to core {OPEN_MPI_ENV} -n 8"),
    (Family.SRUN, SLURM, f"--nodes=4 --ntasks=8 --ntasks-per-node=2 --cpu-bind=cores {SRUN_END}"),
    (
        Family.SRUN,
        replace(HOSTS, binding=Binding.NONE),
        f"--nodelist=node[1-2] --nodes=2 --ntasks=3 --ntasks-per-node=2 --cpu-bind=none {SRUN_END}",
    ),
    (
        Family.SRUN,
        replace(SLURM, **SHARED),
        f"--nodes=4 --ntasks=8 --ntasks-per-node=2 --cpu-bind=none {SRUN_END} --overcommit",
    ),
]


@pytest.mark.parametrize(("family", "plan", "options"), GOLDEN)
def test_each_launcher_gets_its_own_options_in_its_own_words(family, plan, options):
    plan = replace(plan, launcher=replace(plan.launcher, family=family))

    assert argv_for(plan) == ("/opt/mpi/bin/mpiexec", *options.split(), *WORKER)
