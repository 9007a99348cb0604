"""Ranks with a host name of their own each (UTS namespaces): pairs are drawn between hosts, and hosts are judged."""

import json
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.mpi
DEADLINE_S = 150
HOSTS = 4

ON_A_HOST_OF_ITS_OWN = """#!/bin/sh
exec unshare --uts sh -c 'hostname "node$1"; shift; exec "$@"' sh "${PMI_RANK:-$OMPI_COMM_WORLD_RANK}" "$@"
"""


@pytest.fixture
def own_host(need, tmp_path):
    """A command that gives the rank it starts a host name of its own."""
    unshare = shutil.which("unshare")
    works = unshare is not None and subprocess.run([unshare, "--uts", "true"], check=False).returncode == 0
    need("uts", works, "unshare --uts is not permitted here; it takes root or CAP_SYS_ADMIN")
    script = tmp_path / "own-host"
    script.write_text(ON_A_HOST_OF_ITS_OWN)
    script.chmod(0o755)
    return str(script)


def test_hosts_are_paired_with_each_other_and_named_in_the_report(
    mpiexec, launch_options, giving_way, own_host, tmp_path
):
    check = [sys.executable, "-m", "netprobe", "check", "--budget", "10s", "--format", "json"]

    ended = subprocess.run(
        [mpiexec, *launch_options, "-n", str(HOSTS), own_host, *check],
        env={**os.environ, **giving_way, "NETPROBE_RUNS": str(tmp_path / "runs")},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert ended.returncode in (0, 1, 2), ended.stdout + ended.stderr  # four "hosts" that share two cores are noisy
    report = json.loads(ended.stdout)
    assert report["hosts"] == [f"node{rank}" for rank in range(HOSTS)]
    assert {row["scope"] for row in report["pairs"]} == {"between-hosts"}
    assert {row["pairs"] for row in report["pairs"] if row["probe"] == "bandwidth"} == {HOSTS * (HOSTS - 1)}
    assert report["coverage"]["pairs_measured"] == report["coverage"]["pairs_planned"]
    assert not [finding for finding in report["findings"] if finding["detector"] == "corruption"]
    assert "between hosts" not in {gap["topic"] for gap in report["not_tested"]}
