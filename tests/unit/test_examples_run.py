"""The examples that Slurm starts, started: the gate before a job, and the health check of a node."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "scripts" / "examples"
GATE = f"""#!{sys.executable}
import os, sys
from command_lines import parsed
from gate_without_hosts import main
name, options = parsed(sys.argv[1:])
assert name == "gate"
hosts = int(os.environ["FEWEST"]) or options["min_hosts"]
raise SystemExit(main(str(options["out"]), os.environ["SLOW"], str(hosts), "--", *options["command"]))
"""
SRUN = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
raise SystemExit(9)
"""
CONFIG = """#!/bin/sh
printf '%s\\n' "settings of 1 host" "  blocks      mtu-mismatch  node17 mlx5_0  \\$(id); rm" "  degrades    affinity"
exit "$CODE"
"""
SCONTROL = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
if "show" in sys.argv:
    print("NodeName=node17 Arch=x86_64 State=" + os.environ["STATE"] + " ThreadsPerCore=2")
else:
    Path(os.environ["DRAINED"]).write_text(json.dumps(sys.argv[1:]))
"""


def program(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)
    return str(folder / name)


def run_job(tmp_path, *, slow, fewest):
    """Run the batch script as Slurm would on eight nodes."""
    bin = tmp_path / "bin"
    program(bin, "netprobe", GATE)
    program(bin, "srun", SRUN)
    environment = {
        **os.environ,
        "PATH": f"{bin}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
        "NETPROBE_RUNS": str(tmp_path / "runs"),
        "SLURM_NTASKS": "528",
        "SLURM_NPROCS": "528",
        "SLOW": slow,
        "FEWEST": str(fewest),
    }
    return subprocess.run([EXAMPLES / "gate.sbatch"], env=environment, capture_output=True, text=True)


def test_the_job_starts_on_the_healthy_nodes_and_its_exit_code_is_the_batch_scripts(tmp_path):
    done = run_job(tmp_path, slow="3", fewest=7)

    words, environment = json.loads(done.stdout)
    healthy = "node[0001-0003,0005-0008]"
    assert words == [f"--nodelist={healthy}", "--nodes=7", "--ntasks-per-node=8", "python", "train.py"]
    assert environment["NETPROBE_EXCLUDE_HOSTS"] == "node0004"
    assert not {"SLURM_NTASKS", "SLURM_NPROCS"} & set(environment)
    assert done.returncode == 9


def test_the_job_does_not_start_where_too_few_nodes_are_fit(tmp_path):
    done = run_job(tmp_path, slow="3", fewest=0)  # 64, as the script asks for

    assert (done.returncode, done.stdout) == (2, "")
    assert "and 64 are needed: the command was not started" in done.stderr


@pytest.fixture
def health_check(tmp_path):
    """Run the program; return its exit code and what scontrol was asked to do."""

    def run(code, state="IDLE"):
        drained = tmp_path / "drained.json"
        environment = {
            "PATH": os.environ["PATH"],
            "SLURMD_NODENAME": "node17",
            "NETPROBE": program(tmp_path / "bin", "netprobe", CONFIG),
            "SCONTROL": program(tmp_path / "bin", "scontrol", SCONTROL),
            "CODE": str(code),
            "STATE": state,
            "DRAINED": str(drained),
        }
        done = subprocess.run([EXAMPLES / "health-check"], env=environment, capture_output=True, text=True)
        assert done.stderr == ""
        return done.returncode, json.loads(drained.read_text()) if drained.exists() else None

    return run


def test_a_node_whose_settings_are_faulty_is_drained_and_the_finding_is_the_reason(health_check):
    code, asked = health_check(2)

    assert code == 0
    reason = "reason=netprobe config: blocks mtu-mismatch node17 mlx5_0 $(id); rm"
    assert asked == ["update", "nodename=node17", "state=drain", reason]


@pytest.mark.parametrize("code", [0, 1, 3, 4, 124, 130])
def test_no_node_is_drained_for_less_or_for_what_cannot_be_told(health_check, code):
    assert health_check(code) == (0, None)


@pytest.mark.parametrize("state", ["DRAINED", "IDLE+DRAIN", "MIXED+DRAIN", "DRAINING"])
def test_a_node_that_somebody_has_drained_keeps_its_reason(health_check, state):
    assert health_check(2, state) == (0, None)
