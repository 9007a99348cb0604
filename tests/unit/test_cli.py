"""The command line: help, usage errors, and their exit codes; in one process, without ranks."""

import sys

import pytest

from netprobe.cli.app import main
from netprobe.cli.explaining import explanation
from netprobe.registry import detectors, history_detectors

COMMANDS = (
    "check",
    "run",
    "judge",
    "report",
    "doctor",
    "explain",
    "inventory",
    "counters",
    "config",
    "snapshot",
    "show",
    "nightly",
    "gate",
)


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_fits_80_columns_and_exits_0(capsys, arguments):
    assert main(arguments) == 0

    shown = capsys.readouterr().out
    assert "Usage: netprobe" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_without_arguments_the_help_is_shown_and_nothing_was_measured(capsys):
    assert main([]) == 4
    captured = capsys.readouterr()
    assert "Usage: netprobe" in captured.out + captured.err


def test_help_loads_nothing_heavy():
    """What takes long to import makes --help slow; it waits for the command that needs it."""
    import subprocess

    code = "import sys, netprobe.cli.app; print([m for m in ('numpy', 'polars', 'mpi4py', 'rich') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert shown.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chekc"], "check"),
        (["check", "--nonsense"], "--nonsense"),
        (["check", "-n", "two"], "-n"),
        (["check", "-n", "0"], "-n"),
        (["judge"], "RUN_DIRECTORY"),
        (["run"], "PROBE"),
    ],
)
def test_usage_errors_are_one_line_with_exit_code_4(capsys, arguments, told):
    assert main(arguments) == 4

    captured = capsys.readouterr()
    assert told.lower() in captured.err.lower()
    assert captured.err.count("\n") == 1
    assert "--help" in captured.err


def test_version_is_printed(capsys):
    from netprobe import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"netprobe {__version__}\n"


@pytest.mark.parametrize("name", detectors())
def test_explain_says_cause_evidence_remedy_and_limits(capsys, name):
    assert main(["explain", name]) == 0

    shown = capsys.readouterr().out
    assert shown == explanation(detectors()[name]) + "\n"
    for heading in ("Cause", "Evidence", "Remedy", "Limits"):
        assert f"\n{heading}" in shown
    assert all(limit in shown for limit in detectors()[name].limits)
    assert max(map(len, shown.splitlines())) <= 80


def test_explain_without_a_name_lists_all(capsys):
    assert main(["explain"]) == 0

    assert {*detectors(), *history_detectors()} == {line.split()[0] for line in capsys.readouterr().out.splitlines()}
