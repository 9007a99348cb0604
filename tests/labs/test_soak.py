"""The soak sees what a netprobe leaks and loses, sees what a lab leaves, and takes its lab down when it is ended."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from netlab import groups
from netlab.attempts import find_netprobe
from netlab.kept import python_of
from netlab.lab import Lab
from netlab.processes import PROC
from netlab.shape import LOGIN, Shape
from netlab.soak import Course
from netlab.state import folder_of, names
from netlab.traces import left_on, namespaces_of, remains_of
from netlab.trials import TRIALS

SOAK = str(Path(__file__).parents[2] / "scripts/soak")
SMALL = Shape(hosts=2, leaves=1)
DEADLINE_S = 60
NOTHING = {"processes": 0, "namespaces": 0, "mounts": 0, "control groups": 0, "folders": 0}

# A netprobe that keeps a file open for each round, leaves a process here and one on h2, and forgets a row of series.
LEAKY = """#!{python}
import os, subprocess, sys
from netprobe.cli.app import main
from netprobe.model.record import RoundFinished
from netprobe.store.writer import RunWriter

emit, write_table = RunWriter.emit, RunWriter._write_table

def leaking(self, record):
    emit(self, record)
    if isinstance(record, RoundFinished):
        os.open("/dev/null", os.O_RDONLY)

def forgetting(self, name, frame):
    write_table(self, name, frame[1:] if name == "series.parquet" else frame)

if __name__ == "__main__":
    RunWriter.emit, RunWriter._write_table = leaking, forgetting
    sleeping = ["setsid", "--fork", "sleep", "321.75"]
    quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(sleeping, **quiet)
    subprocess.run([os.environ["HYDRA_LAUNCHER_EXEC"], "h2", *sleeping], **quiet)
    sys.exit(main())
"""


@pytest.fixture
def course(lab, tmp_path):
    """Return a way to try a netprobe on the lab."""

    def of(netprobe):
        return Course(lab=lab, netprobe=netprobe, python=python_of(netprobe), out=tmp_path / "runs")

    return of


def counted(wrong):
    return {name: count for name, count in wrong.items() if count}


IS_WHOLE = os.environ.get("NETPROBE_MATRIX") == "whole"


@pytest.mark.parametrize(
    "trial", [*(each for each in TRIALS if each.name == "its processes are stopped"), *((None,) if IS_WHOLE else ())]
)
def test_a_round_of_netprobe_leaves_and_loses_nothing(course, trial):
    wrong, words = course(find_netprobe(str(Path(sys.prefix) / "bin/netprobe"))).play(trial, "h5")

    assert counted(wrong) == {}, words


def test_a_netprobe_that_leaks_and_loses_is_seen_to_do_so(course, lab, tmp_path):
    leaky = tmp_path / "netprobe"
    leaky.write_text(LEAKY.replace("{python}", sys.executable))
    leaky.chmod(0o755)

    wrong, words = course(str(leaky)).play(None, "h1")

    wrong = counted(wrong)
    assert wrong.pop("leaked descriptors", 0) > 1, words
    assert wrong == {"lost results": 1, "leaked processes": 2}, words
    assert {line.split(":")[0] for line in words if "sleep 321.75" in line} == {LOGIN, "h2"}
    assert not left_on(lab.state.holders, lambda host, pid: host == "fabric"), "the next round begins with them"


def test_a_lab_that_was_taken_down_has_left_nothing(other_name):
    lab, _ = Lab.up(SMALL, other_name)
    namespaces = namespaces_of(lab.state)
    lab.down()

    assert len(namespaces) == 5 * len((LOGIN, "fabric", "h1", "h2"))
    assert remains_of(other_name, namespaces) == NOTHING


def test_what_a_lab_leaves_is_counted_by_kind(other_name, tmp_path):
    lab, _ = Lab.up(SMALL, other_name)
    namespaces = namespaces_of(lab.state)
    network = PROC / str(lab.state.holders["h1"].pid) / "ns/net"
    kept = tmp_path / "kept"
    kept.touch()
    subprocess.run(["mount", "--bind", str(network), str(kept)], check=True)
    try:
        with subprocess.Popen(["nsenter", f"--net={network}", "sleep", "100"]) as staying:
            try:
                while (PROC / str(staying.pid) / "comm").read_text() != "sleep\n":
                    time.sleep(0.02)
                lab.down()
                trees = groups.trees_here()
                ((trees.cpu or trees.freezer) / f"netprobe-lab-{other_name}").mkdir()
                folder_of(other_name).mkdir()

                left = remains_of(other_name, namespaces)
            finally:
                staying.kill()
    finally:
        subprocess.run(["umount", str(kept)], check=True)

    assert left == {"processes": 1, "namespaces": 1, "mounts": 1, "control groups": 1, "folders": 1}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_soak_that_is_ended_takes_its_lab_down_and_tells_how_far_it_came(possible, tmp_path, number, code):
    asleep = tmp_path / "netprobe"
    asleep.write_text(f"#!{sys.executable}\nimport time\nprint('x', file=open({str(tmp_path / 'runs')!r}, 'w'))\n"
                      "time.sleep(1000)\n")  # fmt: skip
    asleep.chmod(0o755)
    argv = [SOAK, "--rounds", "3", "--netprobe", str(asleep)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as soaking:
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not (tmp_path / "runs").exists():
                assert time.monotonic() < deadline
                assert soaking.poll() is None, soaking.stderr.read()
                time.sleep(0.05)
            [name] = [each for each in names() if each.startswith(f"soak-{soaking.pid}-")]
            namespaces = namespaces_of(Lab(name=name).state)
            os.kill(soaking.pid, number)
            said, complaint = soaking.communicate(timeout=DEADLINE_S)
        finally:
            soaking.kill()

    assert (soaking.returncode, complaint) == (code, "")
    assert json.loads(said) == {"seed": 1, "rounds": 0}
    assert remains_of(name, namespaces) == NOTHING
