"""Tests that start real MPI ranks; the bodies in ranks/ run on the ranks themselves, started by test_on_ranks.py."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netprobe.environment import launch_settings

if "NETPROBE_ON_RANKS" not in os.environ:
    collect_ignore = ["ranks"]


@pytest.fixture(scope="session")
def mpiexec(need):
    """The launcher that belongs to this Python environment."""
    found = shutil.which("mpiexec", path=str(Path(sys.prefix) / "bin")) or shutil.which("mpiexec")
    need("mpi", found is not None, "no mpiexec beside this Python or on PATH; pip install 'netprobe[mpi]'")
    return found


@pytest.fixture(scope="session")
def launch_options(mpiexec):
    """What this launcher needs to start more ranks than cores, also as root."""
    version = subprocess.run([mpiexec, "--version"], capture_output=True, text=True, check=True).stdout
    if "Open MPI" in version or "OpenRTE" in version:
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        return [*root, "--map-by", ":OVERSUBSCRIBE", "--bind-to", "none"]
    return []


@pytest.fixture(scope="session")
def giving_way():
    """Settings without which five ranks on two cores wait for each other for minutes."""
    return launch_settings(None, os.environ, oversubscribe=True)
