"""A run that loses hosts goes on with the rest, under either MPI; what was measured before is kept."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from netlab.attempts import attempt, find_netprobe
from netlab.trials import TRIALS

DEADLINE_S = 15
BY_NAME = {trial.name: trial for trial in TRIALS}
SUDDEN = ("its rank is killed", "its processes are stopped", "it goes down")


@pytest.fixture(scope="session")
def netprobe():
    return find_netprobe(str(Path(sys.prefix) / "bin/netprobe"))


def events(run):
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def at_s(event):
    hours, minutes, seconds = event["at"][11:-1].split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


@pytest.mark.parametrize("name", SUDDEN)
@pytest.mark.parametrize("host", ["h1"])
def test_the_guilty_host_is_benched_and_the_rest_of_the_plan_is_measured(lab, netprobe, tmp_path, name, host):
    trial = BY_NAME[name]

    outcome = attempt(lab, netprobe, tmp_path, trial, host)

    assert not outcome.mistakes(trial, host), outcome.output
    header = json.loads((outcome.run / "run.json").read_text())
    assert header["status"] == "complete"
    assert [each["host"] for each in header["benched"]] == [host]
    assert {each["stage"] for each in header["outcomes"]} == {each["id"] for each in header["plan"]["stages"]}
    told = events(outcome.run)
    halted = next(event for event in told if event["kind"] == "run-halted")
    before = max(at_s(each) for each in told if each["kind"].startswith("round") and at_s(each) <= at_s(halted))
    assert at_s(halted) - before <= 2 * DEADLINE_S  # one deadline on a quiet machine; shared cores are slower


def test_two_hosts_that_fail_one_after_the_other_cost_a_launch_each(lab, netprobe, tmp_path):
    process = started(lab, netprobe, tmp_path)
    wait_for(tmp_path, lambda told: rounds(told) >= 2)
    lab.kill_rank("h1")
    wait_for(tmp_path, lambda told: launches(told) == 2 and rounds(told) >= 5)
    lab.kill_rank("h4")
    output, _ = process.communicate(timeout=240)

    (run,) = tmp_path.iterdir()
    report = json.loads((run / "report.json").read_text())
    assert {host for each in report["findings"] for host in each["subjects"]} == {"h1", "h4"}, output
    assert report["run_status"] == "complete"


def test_when_most_hosts_cannot_be_reached_the_verdict_is_open_and_says_why(lab, netprobe, tmp_path):
    for host in ("h1", "h2", "h3", "h4", "h5"):
        lab.kill_host(host)

    output, _ = (process := started(lab, netprobe, tmp_path)).communicate(timeout=120)

    assert process.returncode == 3
    assert "more than half of the hosts failed" in " ".join(output.split())
    assert "h1: host unreachable" in output


def test_an_interrupt_in_the_middle_keeps_what_there_is_and_leaves_no_rank(lab, netprobe, tmp_path):
    process = started(lab, netprobe, tmp_path)
    wait_for(tmp_path, lambda told: rounds(told) >= 4)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)

    assert process.returncode == 130
    (run,) = tmp_path.iterdir()
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert json.loads((run / "run.json").read_text())["outcomes"]
    deadline = time.monotonic() + 20
    while any(lab.ranks(f"h{number}") for number in range(1, 9)):
        assert time.monotonic() < deadline, "a rank still runs"
        time.sleep(0.2)


def test_a_second_netprobe_on_the_same_hosts_is_noticed(lab, netprobe, tmp_path):
    # Longer than any second one takes to start: the longest profile, ended by hand.
    first = started(lab, netprobe, tmp_path / "first", "--profile", "deep")
    wait_for(tmp_path / "first", lambda told: rounds(told) >= 1)
    second = started(lab, netprobe, tmp_path / "second")
    wait_for(tmp_path / "second", lambda told: rounds(told) >= 1)
    assert first.poll() is None, first.communicate()
    os.kill(first.pid, signal.SIGINT)
    first.communicate(timeout=60)
    output, _ = second.communicate(timeout=240)

    assert "another netprobe measures on" in " ".join(output.split())


def started(lab, netprobe, out, *options):
    out.mkdir(exist_ok=True)
    argv = [netprobe, "check", "--hosts", "h[1-8]", "--no-bind", "--out", str(out), *options]
    return lab.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(out, is_so):
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        for run in out.iterdir():
            if (run / "events.jsonl").exists() and is_so(events(run)):
                return
        time.sleep(0.05)
    raise AssertionError("it did not come so far")


def rounds(told):
    return sum(event["kind"] == "round-finished" for event in told)


def launches(told):
    return sum(event["kind"] == "ranks-ready" for event in told)
