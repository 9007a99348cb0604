"""Every fault: the right host is named, with the right cause and direction, and nobody else.

On every change those that differ in kind, on one host each, and two runs without a fault; NETPROBE_MATRIX=whole tries
every fault on all three hosts, and ten runs without one, which takes 20 minutes.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from netlab.attempts import attempt, find_netprobe
from netlab.trials import TRIALS

from netprobe.model.verdict import ExitCode

HOSTS = ("h2", "h5", "h7")
IS_WHOLE = os.environ.get("NETPROBE_MATRIX") == "whole"
CLEAN_RUNS = 10 if IS_WHOLE else 2
ALIKE = {
    "1 % of what it receives is lost",
    "its port receives at a third of the rate",
    "it is down before the run",
    "it goes down",
    "its rank is frozen",
    "its rank is killed",
    "its processes are stopped",
}
"""Faults of which another of the same kind is tried on every change, or the same one in test_survival."""
ATTEMPTS = [
    pytest.param(trial, host, id=f"{trial.name}-{host}")
    for number, trial in enumerate(each for each in TRIALS if IS_WHOLE or each.name not in ALIKE)
    for host in (HOSTS if IS_WHOLE else HOSTS[number % len(HOSTS) :][:1])
]


@pytest.fixture(scope="session")
def netprobe():
    return find_netprobe(str(Path(sys.prefix) / "bin/netprobe"))


@pytest.mark.parametrize(("trial", "host"), ATTEMPTS)
def test_a_fault_is_found_where_it_is_and_nowhere_else(lab, netprobe, tmp_path, table, trial, host):
    outcome = attempt(lab, netprobe, tmp_path / "runs", trial, host)

    mistakes = outcome.mistakes(trial, host)
    table.add(trial.name, outcome, is_right=not mistakes)
    assert not mistakes, f"{mistakes}\n{outcome.output}"
    if trial.detector == "slow-link":
        assert "leaf switches are unknown" in " ".join(outcome.output.split()), "partners may share one, which is said"


def test_clean_runs_in_a_row_find_nothing(lab, netprobe, tmp_path, table):
    outcomes = [attempt(lab, netprobe, tmp_path / "runs", None, "") for _ in range(CLEAN_RUNS)]

    for outcome in outcomes:
        table.add("none", outcome, is_right=not outcome.mistakes(None, ""))
    assert Counter(outcome.exit_code for outcome in outcomes) == {ExitCode.HEALTHY: CLEAN_RUNS}, [
        outcome.findings for outcome in outcomes
    ]


def test_what_is_tried_in_full_alone_is_a_fault_of_the_lab():
    assert {trial.name for trial in TRIALS} > ALIKE
