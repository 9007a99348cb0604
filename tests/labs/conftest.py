"""A lab for the tests: brought up once, healthy again after each test, gone in the end whatever happens."""

import os
import re
import secrets
import statistics
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from netlab.attempts import Outcome, tidy
from netlab.commands import require_tools
from netlab.errors import LabError
from netlab.lab import Lab
from netlab.shape import Shape
from netlab.trials import TRIALS

IS_WHOLE = os.environ.get("NETPROBE_MATRIX") == "whole"
collect_ignore = [] if IS_WHOLE else ["test_shared_causes.py"]
"""Tried in full alone: what these find is found on every change from files."""
SHAPE = Shape(hosts=8, leaves=2, rate_bps=700_000_000)


def why_no_lab() -> str | None:
    """Return why this machine cannot hold a lab; None when it can."""
    try:
        require_tools()
    except LabError as error:
        return str(error)
    attempt = ("unshare", "--pid", "--fork", "--mount-proc", "--net", "--uts", "--ipc", "true")
    refused = subprocess.run(attempt, capture_output=True, text=True, check=False)
    return refused.stderr.strip() or "namespaces are refused" if refused.returncode else None


@pytest.fixture(scope="session")
def possible(need):
    """Skip, or fail where NETPROBE_REQUIRE names the lab, when there can be none."""
    reason = why_no_lab()
    need("lab", reason is None, reason or "")


def fresh_name() -> str:
    """Return a name that no other lab has."""
    return f"test-{os.getpid()}-{secrets.token_hex(3)}"


@pytest.fixture(scope="session")
def session_lab(possible) -> Iterator[Lab]:
    """The lab of all tests; use ``lab``, which is healthy."""
    name = fresh_name()
    try:
        yield Lab.up(SHAPE, name, outlives_maker=False)[0]
    finally:
        Lab(name=name).down()


@pytest.fixture
def lab(session_lab) -> Iterator[Lab]:
    """A healthy lab of the shape above."""
    yield session_lab
    tidy(session_lab)


@pytest.fixture
def other_name(possible) -> Iterator[str]:
    """A name for a lab of the test's own, taken down whatever the test does to it."""
    name = fresh_name()
    yield name
    with suppress(LabError):
        Lab(name=name).down()


class Table:
    """What was reported for each fault, in how many of how many runs, and how long that took."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[Outcome, bool]]] = {}

    def add(self, fault: str, outcome: Outcome, *, is_right: bool) -> None:
        self._rows.setdefault(fault, []).append((outcome, is_right))

    def lines(self) -> list[str]:
        head = ["| fault injected | reported | right | median time |", "| --- | --- | --- | --- |"]
        return [*head, *(self._line(fault, of) for fault, of in self._rows.items())] if self._rows else []

    def _line(self, fault: str, of: list[tuple[Outcome, bool]]) -> str:
        right = [outcome for outcome, is_right in of if is_right]
        said = Counter(words_of(outcome) for outcome in right).most_common(1)
        elapsed_s = statistics.median(outcome.elapsed_s for outcome, _ in of)
        return f"| {fault} | {said[0][0] if said else '–'} | {len(right)} of {len(of)} | {elapsed_s:.0f} s |"


def words_of(outcome: Outcome) -> str:
    """Return what a run said, without the host's name."""
    if not outcome.findings:
        return "HEALTHY"
    detector, subjects, summary = outcome.findings[0]
    where = "the path" if "->" in subjects[0] else "the host" if len(subjects) == 1 else "both hosts"
    return f"`{detector}`, {where}: {_gist(detector, summary)}"


def _gist(detector: str, summary: str) -> str:
    """Return what a summary says first, without figures and places."""
    if detector in ("dead-host", "hung-host"):  # what became of it, then where, then how
        return re.split(r" in | before |:", summary)[0]
    known = ("(tx)", "(rx)", "sends", "receives", "vanish", "quotas", "quota", "cut off", "loses")
    return next((word.strip("()") for word in known if word in summary), "")


TABLE = Table()
README = Path(__file__).parents[2] / "README.md"
MARKS = ("<!-- faults: begin -->", "<!-- faults: end -->")


@pytest.fixture(scope="session")
def table() -> Table:
    """What the run of all faults adds up to."""
    return TABLE


def pytest_terminal_summary(terminalreporter):
    """Print the table, and put it into the README where NETPROBE_UPDATE_TABLE asks for that."""
    lines = TABLE.lines()
    if not lines:
        return
    is_whole = os.environ.get("NETPROBE_MATRIX") == "whole" and len(lines) == len(TRIALS) + 3  # head, head, no fault
    terminalreporter.section("faults injected, and what was reported")
    for line in lines:
        terminalreporter.write_line(line)
    if os.environ.get("NETPROBE_UPDATE_TABLE") and is_whole:
        before, _, rest = README.read_text().partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        README.write_text("\n".join([before + MARKS[0], *lines, MARKS[1]]) + after)
