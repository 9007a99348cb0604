"""``netprobe nightly`` and ``netprobe gate`` on real ranks: what is left behind, and what the job inherits."""

import os
import signal
import subprocess
import sys
import time

import pytest

from netprobe.store.lock import holder_here, locked
from netprobe.store.nightly import LOCK

pytestmark = pytest.mark.mpi
DEADLINE_S = 180
RAN = (0, 1)  # healthy, or degraded by the noise of a shared machine
CHILDREN = """
import os, subprocess, sys
from pathlib import Path
children = [each for each in Path("/proc").glob("[0-9]*/stat") if each.read_text().rpartition(")")[2].split()[1] == str(os.getpid())]
print(len(children), *sys.argv[1:])
raise SystemExit(7)
"""  # noqa: E501


@pytest.fixture
def start(mpiexec, tmp_path):
    def run(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "netprobe", *arguments],
            env={**os.environ, "NETPROBE_RUNS": str(tmp_path / "runs"), "NETPROBE_MPIEXEC": mpiexec},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def test_the_gate_leaves_the_job_no_child_of_its_own(start):
    job = [sys.executable, "-c", CHILDREN, "{count}"]

    process = start("gate", "--budget", "10s", "--allow-degraded", "--", *job)
    out, error = process.communicate(timeout=DEADLINE_S)

    assert (process.returncode, out) == (7, "0 1\n"), error
    assert error.count("\n") == 1


def test_a_night_is_told_and_leaves_a_run_a_page_and_a_history(start, tmp_path):
    process = start("nightly", "--profile", "quick", "--budget", "10s")
    out, error = process.communicate(timeout=DEADLINE_S)

    assert process.returncode in RAN, out + error
    assert error == ""
    assert out.startswith("netprobe nightly: ")
    (run,) = (tmp_path / "runs").glob("2*")
    assert (run / "report.html").exists()
    assert (tmp_path / "runs" / "history.txt").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_night_that_is_interrupted_keeps_its_exit_code_and_no_lock(start, tmp_path, number):
    process = start("nightly")
    _wait_for_a_run(tmp_path / "runs")

    process.send_signal(number)
    out, error = process.communicate(timeout=DEADLINE_S)

    assert process.returncode == 130, out + error
    assert "run interrupted" in out
    with locked(tmp_path / "runs" / LOCK, holder_here()):
        pass


def _wait_for_a_run(folder):
    until = time.monotonic() + DEADLINE_S
    while not any(folder.glob("2*/series.parquet")):
        assert time.monotonic() < until
        time.sleep(0.1)
