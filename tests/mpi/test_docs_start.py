"""docs/start.md is run from its first command to its last, as somebody would who has five minutes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.mpi
PAGE = (Path(__file__).parents[2] / "docs" / "start.md").read_text(encoding="utf-8")
DEADLINE_S = 300
JUDGED = range(4)  # any verdict: whether this machine is healthy is not what is asked


def commands():
    return [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def script(log):
    """Return all commands as one script that notes how each of netprobe's ended."""
    noted = f'netprobe() {{ "{sys.executable}" -m netprobe "$@"; echo "$? $1" >> "{log}"; }}'
    return "\n".join([noted, *commands()])


def test_every_command_of_the_first_five_minutes_does_what_the_page_says(mpiexec, tmp_path):
    log = tmp_path / "ended"
    (tmp_path / "start.sh").write_text(script(log), encoding="utf-8")

    done = subprocess.run(
        ["bash", "-u", "start.sh"],
        cwd=tmp_path,
        env={**os.environ, "NETPROBE_MPIEXEC": mpiexec},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    ended = [line.split(" ", 1) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [name for _, name in ended] == [line.split()[1] for line in commands() if line.startswith("netprobe ")]
    assert {int(code) for code, _ in ended} <= set(JUDGED), done.stdout + done.stderr
    assert "internal error" not in done.stderr
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 3
    assert (tmp_path / "simulated" / "simulated-8-7" / "run.json").is_file()
