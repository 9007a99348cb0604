"""Does MPI take addresses of a GPU? The trial of it: real MPI, which dies of memory that it may not touch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_gpu import COMPILER

from netprobe.session.cuda_trial import try_in_child

pytestmark = pytest.mark.mpi
FAKES = Path(__file__).parents[1] / "fakes"


@pytest.fixture
def on_fake(need, mpiexec):
    need("cxx", COMPILER is not None, "no C++ compiler; try: apt-get install g++")
    return lambda kind: (sys.executable, str(FAKES / "trial_on_fake.py"), "0", kind)


def test_an_mpi_that_dies_of_a_gpus_memory_takes_none_of_it(on_fake):
    trial = try_in_child(on_fake("hidden"), os.environ)

    assert (trial.is_aware, trial.why) == (False, "a trial was ended by SIGSEGV")


def test_an_mpi_that_moves_a_gpus_memory_takes_it(on_fake):
    trial = try_in_child(on_fake("open"), os.environ)

    assert (trial.is_aware, trial.why) == (True, "")


def test_a_trial_among_ranks_is_none_of_their_job(on_fake, mpiexec, launch_options):
    """Were it one, it would take the place of a rank, and the job would wait for it or end with it."""
    code = f"""
import os
from mpi4py import MPI
from netprobe.session.cuda_trial import try_in_child
trials = MPI.COMM_WORLD.allgather(try_in_child({on_fake("hidden")!r}, os.environ).why)
assert trials == ["a trial was ended by SIGSEGV"] * 2, trials
"""
    ended = subprocess.run(
        [mpiexec, *launch_options, "-n", "2", sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]


def test_a_trial_that_never_ends_takes_nothing(on_fake):
    trial = try_in_child((sys.executable, "-c", "import time; time.sleep(60)"), os.environ, longest_s=0.5)

    assert (trial.is_aware, trial.why) == (False, "a trial did not end within 0.5 s")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            "import sys; sys.exit('CuPy cannot be loaded: no libcuda')",
            "a trial failed: CuPy cannot be loaded: no libcuda",
        ),
        ("import sys; sys.exit(10)", "a trial moved wrong bytes"),
        ("import os; os._exit(3)", "a trial failed: exit code 3"),
    ],
)
def test_how_a_trial_failed_is_told(code, why):
    assert try_in_child((sys.executable, "-c", code), os.environ).why == why


def test_a_trial_that_cannot_be_started_takes_nothing():
    assert "could not be started" in try_in_child(("/nowhere/python",), os.environ).why
