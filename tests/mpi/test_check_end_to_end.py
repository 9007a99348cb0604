"""``netprobe`` as its users run it: a command, an exit code, what it prints, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netprobe.store.reader import read_run

pytestmark = pytest.mark.mpi
DEADLINE_S = 120
RAN = (0, 1)  # healthy, or degraded by the noise of a shared machine; anything else is a fault of ours


@pytest.fixture
def netprobe(mpiexec, tmp_path):
    """Run the command line with its run directories in tmp_path."""

    def run(*arguments, launcher=(), **environment):
        return subprocess.run(
            [*launcher, sys.executable, "-m", "netprobe", *arguments],
            env={**os.environ, "NETPROBE_RUNS": str(tmp_path / "runs"), "NETPROBE_MPIEXEC": mpiexec, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    return run


def json_report(ended):
    assert ended.returncode in RAN, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


def only_run(tmp_path):
    (directory,) = (tmp_path / "runs").iterdir()
    return directory


def test_a_plain_check_measures_two_ranks_and_says_what_it_did_not_test(netprobe, tmp_path):
    ended = netprobe("check")

    assert ended.returncode in RAN, ended.stdout + ended.stderr
    first_line = ended.stdout.splitlines()[0]
    assert first_line.startswith(("HEALTHY", "DEGRADED"))
    for topic in ("between hosts", "rdma", "gpu"):
        assert topic in ended.stdout
    prose = [line for line in ended.stdout.splitlines() if "retest:" not in line]  # a command is not cut in two
    assert max(map(len, prose)) <= 80
    assert "\x1b" not in ended.stdout + ended.stderr
    assert read_run(only_run(tmp_path)).header.status == "complete"


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_every_rank_count_measures_the_same_stages(netprobe, ranks):
    report = json_report(netprobe("check", "-n", str(ranks), "--oversubscribe", "--format", "json", "--budget", "10s"))

    assert report["ranks"] == ranks
    assert report["coverage"]["stages_finished"] == report["coverage"]["stages_planned"]
    assert report["coverage"]["pairs_measured"] == report["coverage"]["pairs_planned"]
    groups = {row["probe"] for row in report["groups"]}
    assert groups == {"allreduce", "barrier"}


def test_one_rank_has_nobody_to_talk_to_and_is_inconclusive(netprobe):
    ended = netprobe("check", "-n", "1")

    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "nobody to exchange data with" in " ".join(ended.stdout.split())


def test_a_check_started_in_a_source_tree_runs_the_installed_program(netprobe, tmp_path):
    (tmp_path / "numpy.py").write_text("raise SystemExit('the folder was searched for modules')")
    (tmp_path / "netprobe").mkdir()
    (tmp_path / "netprobe/__init__.py").write_text("")

    program = Path(sys.executable).with_name("netprobe")
    ended = subprocess.run([program, "run", "barrier", "-n", "10"], cwd=tmp_path, capture_output=True, text=True,
                           timeout=DEADLINE_S, check=False)  # fmt: skip

    assert ended.returncode in RAN, ended.stdout + ended.stderr


def test_under_a_launcher_the_processes_are_the_ranks_and_one_report_is_printed(
    netprobe, mpiexec, launch_options, giving_way, tmp_path
):
    launcher = [mpiexec, *launch_options, "-n", "3"]

    report = json_report(netprobe("check", "--format", "json", "--budget", "10s", launcher=launcher, **giving_way))

    assert report["ranks"] == 3
    assert report["launch"]["method"] == "external"
    assert only_run(tmp_path)


def test_run_prints_the_table_that_readers_of_nccl_tests_expect(netprobe):
    ended = netprobe(
        "run", "allreduce", "-b", "8", "-e", "64K", "-f", "8", "-n", "20", "-w", "5", "--format", "nccl-tests"
    )

    assert ended.returncode in RAN, ended.stdout + ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines() if line and not line.lstrip().startswith("#")]
    assert [int(row[0]) for row in rows] == [8, 64, 512, 4096, 32768]
    assert "# Out of bounds values : 0 OK" in ended.stdout


@pytest.mark.parametrize("probe", ["latency", "bandwidth", "bidirectional", "alltoall", "barrier"])
def test_run_measures_one_probe(netprobe, probe):
    report = json_report(netprobe("run", probe, "-b", "1K", "-e", "4K", "-n", "10", "--format", "json"))

    rows = report["pairs"] + report["groups"]
    assert {row["probe"] for row in rows} == {probe}
    if probe != "barrier":
        assert {row["size_bytes"] for row in rows} == {1024, 2048, 4096}


def test_a_report_can_be_printed_again_in_every_format(netprobe, tmp_path):
    netprobe("run", "allreduce", "-b", "8", "-e", "8", "-n", "10")

    for name in ("console", "json", "markdown", "nccl-tests"):
        ended = netprobe("report", str(only_run(tmp_path)), "--format", name)
        assert ended.returncode in RAN, name + ended.stderr
        assert ended.stdout.endswith("\n")


def test_judging_again_with_impossible_limits_changes_the_verdict_but_not_the_run(netprobe, tmp_path):
    netprobe("run", "latency", "-b", "8", "-e", "8", "--series", "50ms")
    limits = tmp_path / "site.toml"
    limits.write_text("jitter_tail_ratio = 0.5\njitter_floor_ns = 0.0\n")
    before = sorted((path.name, path.stat().st_mtime_ns) for path in only_run(tmp_path).iterdir())

    ended = netprobe("judge", str(only_run(tmp_path)), "--limits", str(limits))

    # Where other programs take the ranks' CPUs away, tails tell of the scheduler, whatever the limits.
    is_crowded = "wait for a CPU" in ended.stdout
    assert ended.returncode == (0 if is_crowded else 1)
    assert "jitter" in ended.stdout
    assert before == sorted((path.name, path.stat().st_mtime_ns) for path in only_run(tmp_path).iterdir())


def descendants(pid):
    """Return all living processes whose ancestor is ``pid``."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    found, frontier = set(), {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def started(mpiexec, tmp_path, *argv):
    return subprocess.Popen(
        argv,
        env={**os.environ, "NETPROBE_RUNS": str(tmp_path / "runs"), "NETPROBE_MPIEXEC": mpiexec},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def started_run(mpiexec, tmp_path, *, launcher=()):
    process = started(mpiexec, tmp_path, *launcher, sys.executable, "-m", "netprobe", "check", "--profile", "pretrain")
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        for path in (tmp_path / "runs").glob("*/events.jsonl"):
            if "stage-finished" in path.read_text():
                return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError("no stage was finished in time")


def is_alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def wait_until_gone(pids):
    deadline = time.monotonic() + 30
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [pid for pid in pids if is_alive(pid)]


def test_an_interrupted_check_keeps_what_it_has_and_leaves_no_rank_behind(mpiexec, tmp_path):
    process = started_run(mpiexec, tmp_path)
    ranks = descendants(process.pid)

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 130
    assert wait_until_gone(ranks) == []
    run = read_run(only_run(tmp_path))
    assert run.header.status == "interrupted"
    assert run.header.outcomes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_launcher_of_somebody_else_leaves_a_readable_run_and_no_rank(
    netprobe, mpiexec, launch_options, tmp_path, number
):
    process = started_run(mpiexec, tmp_path, launcher=(mpiexec, *launch_options, "-n", "2"))
    ranks = descendants(process.pid)

    process.send_signal(number)
    process.communicate(timeout=60)

    assert process.returncode != 0
    assert wait_until_gone(ranks) == []
    ended = netprobe("report", str(only_run(tmp_path)))
    assert ended.returncode == 3, ended.stdout + ended.stderr


# Never meets the other rank, and ends with an exit code of its own when it is asked to.
ABSENT = ("sh", "-c", "trap 'kill $!; exit 130' INT TERM; sleep 600 & wait")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_rank_that_waits_for_the_others_to_start_heeds_an_interrupt(mpiexec, launch_options, tmp_path, number):
    rank = (sys.executable, "-m", "netprobe", "check")
    process = started(mpiexec, tmp_path, mpiexec, *launch_options, "-n", "1", *rank, ":", "-n", "1", *ABSENT)
    deadline = time.monotonic() + DEADLINE_S
    while not (ranks := [pid for pid in descendants(process.pid) if has_loaded_mpi(pid)]):
        assert time.monotonic() < deadline, "no rank has come so far"
        time.sleep(0.05)

    process.send_signal(number)
    left = wait_until_gone(ranks)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)

    assert left == []
    assert not (tmp_path / "runs").exists()


def has_loaded_mpi(pid):
    try:
        return (
            "python" in Path(f"/proc/{pid}/exe").readlink().name and "libmpi" in Path(f"/proc/{pid}/maps").read_text()
        )
    except OSError:
        return False


def test_a_killed_check_leaves_a_run_that_report_can_read(netprobe, mpiexec, tmp_path):
    process = started_run(mpiexec, tmp_path)
    ranks = descendants(process.pid)

    process.kill()
    process.communicate(timeout=60)

    ended = netprobe("report", str(only_run(tmp_path)))
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert ended.stdout.startswith("INCONCLUSIVE")
    assert wait_until_gone(ranks) == []


def test_hosts_that_nobody_knows_are_named_and_leave_the_verdict_open(netprobe, tmp_path):
    ended = netprobe("check", "--hosts", "no-such-host-here")

    assert ended.returncode == 3
    assert "1 of 1 hosts failed (no-such-host-here)" in " ".join(ended.stdout.split())
    assert "no address: unknown to DNS" in " ".join(ended.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["check", "--hosts", "node[1-"], "node[1-"),
        (["check", "--mpiexec", "/no/such/mpiexec"], "/no/such/mpiexec"),
        (["check", "-n", "4096"], "--oversubscribe"),
        (["check", "--profile", "quik"], "quick"),
        (["check", "--format", "jsn"], "json"),
        (["check", "--budget", "soon"], "120s"),
        (["run", "allreduc"], "allreduce"),
        (["run", "allreduce", "-b", "0"], "-b 8"),
        (["run", "allreduce", "-e", "1T"], "1T"),
        (["run", "bandwidth", "-e", "2G"], "1G"),
        (["run", "broadcast", "-r", "5"], "-r 1"),
        (["run", "barrier", "-n", "99999999999"], "-n 10000000"),
        (["run", "bandwidth", "-W", "100000000"], "-W 16384"),
        (["run", "latency", "-f", "nan"], "-f 2"),
        (["run", "allreduce", "-e", "8Q"], "8M"),
        (["run", "allreduce", "-d", "float31"], "float32"),
        (["report", "/no/such/run"], "/no/such/run"),
        (["judge", "/"], "run.json"),
        (["explain", "slow-hots"], "slow-host"),
        (["check", "--no-such-option"], "--no-such-option"),
        (["chekc"], "check"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_4(netprobe, tmp_path, arguments, told):
    ended = netprobe(*arguments)

    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert told in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_hostfile_with_a_typo_names_file_and_line(netprobe, tmp_path):
    hostfile = tmp_path / "hosts"
    hostfile.write_text("localhost slots=2\nlocalhost sluts=2\n")

    ended = netprobe("check", "--hostfile", str(hostfile))

    assert ended.returncode == 4
    assert f"{hostfile}" in ended.stderr
    assert "2" in ended.stderr


def test_a_limits_file_with_an_unknown_key_names_the_nearest(netprobe, tmp_path):
    limits = tmp_path / "site.toml"
    limits.write_text("jitter_tail_ration = 3\n")

    ended = netprobe("check", "--limits", str(limits))

    assert ended.returncode == 4
    assert "jitter_tail_ratio" in ended.stderr
    assert not (tmp_path / "runs").exists()


def test_reads_beside_all_reduces_are_told_both_ways_and_a_directory_is_refused_at_once(netprobe, tmp_path):
    file = tmp_path / "data"
    file.write_bytes(os.urandom(8 << 20))

    ended = netprobe(
        "run", "storage", "--storage", "data", "--storage-rate", "500MB/s", "-e", "64K", "--series", "200ms",
        "--format", "json",
    )  # fmt: skip
    refused = netprobe("run", "storage", "--storage", str(tmp_path))

    (row,) = json_report(ended)["under_load"]["storage"]
    assert row["path"] == str(file)
    assert all(each > 0 for each in (*row["reduced_p50_ns"], *row["read_gbps"]))
    assert refused.returncode == 4
    assert "is a directory" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
