"""Start pytest on 1, 2, 3 and 5 ranks; each body below ranks/ then runs on all of them together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.mpi
DEADLINE_S = 180  # ten times what five ranks on two busy cores take


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_every_body_passes_on_all_ranks(mpiexec, launch_options, giving_way, tmp_path, ranks):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    # Ranks that end together would tidy up the same old folders, each under the other's feet.
    command += ["-o", "tmp_path_retention_count=100"]
    bodies = str(Path(__file__).parent / "ranks")

    ended = subprocess.run(
        [mpiexec, *launch_options, "-n", str(ranks), *command, bodies],
        env={
            **os.environ,
            **(giving_way if ranks > (os.cpu_count() or 1) else {}),
            "NETPROBE_ON_RANKS": "1",
            "PYTEST_DEBUG_TEMPROOT": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-3000:]
    assert ended.stdout.count(" passed") == ranks
