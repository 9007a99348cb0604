"""What the command line does when it fails itself, or when nobody reads what it prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from store_samples import LAUNCH, STARTED, done, plan, ready, stage_records

import netprobe.cli.explaining
from netprobe.cli.app import main
from netprobe.cli.output import is_readers_terminal
from netprobe.model.run import RunStatus
from netprobe.store.writer import RunWriter

INCONCLUSIVE = 3


@pytest.fixture
def killed_run(tmp_path):
    """A run that ended early: its verdict is inconclusive."""
    writer = RunWriter.create(tmp_path, plan(), LAUNCH, started=STARTED, run_id="run")
    for record in (ready(), *stage_records("one"), done()):
        writer.emit(record)
    writer.close(RunStatus.FAILED, "the ranks ended")
    return writer.directory


def report_printed_to(descriptor, directory):
    return subprocess.run(
        [sys.executable, "-m", "netprobe", "report", str(directory)],
        stdout=descriptor,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )


def fail(_name):
    raise ZeroDivisionError("no series\nat all")


def test_a_defect_of_our_own_is_one_line_and_never_the_code_of_a_verdict_on_the_fabric(monkeypatch, capsys):
    monkeypatch.setattr(netprobe.cli.explaining, "explain_detector", fail)
    monkeypatch.delenv("NETPROBE_TRACEBACK", raising=False)

    assert main(["explain"]) == INCONCLUSIVE
    assert capsys.readouterr().err == (
        "netprobe: internal error: ZeroDivisionError: no series at all; "
        "try: report it with the output of NETPROBE_TRACEBACK=1\n"
    )


def test_the_traceback_of_a_defect_can_be_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(netprobe.cli.explaining, "explain_detector", fail)
    monkeypatch.setenv("NETPROBE_TRACEBACK", "1")

    assert main(["explain"]) == INCONCLUSIVE
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_who_has_seen_enough_does_not_change_the_verdict(killed_run):
    reading, writing = os.pipe()
    os.close(reading)

    ended = report_printed_to(writing, killed_run)
    os.close(writing)

    assert (ended.returncode, ended.stderr) == (INCONCLUSIVE, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_report_that_cannot_be_printed_names_the_run_and_keeps_the_verdict(killed_run):
    with Path("/dev/full").open("w") as full:
        ended = report_printed_to(full, killed_run)

    assert ended.returncode == INCONCLUSIVE
    assert ended.stderr.count("\n") == 1
    assert f"netprobe report {killed_run}" in ended.stderr


def test_a_closed_standard_output_is_told_and_keeps_the_verdict(killed_run):
    command = f'exec "{sys.executable}" -m netprobe report "{killed_run}" >&-'
    ended = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False, timeout=60)

    assert ended.returncode == INCONCLUSIVE
    assert "standard output is closed" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_truncated_report_is_told_and_the_run_judged_again(killed_run, capsys):
    (killed_run / "report.json").write_text('{"format": 1, "net')

    assert main(["report", str(killed_run)]) == INCONCLUSIVE

    captured = capsys.readouterr()
    assert captured.out.startswith("INCONCLUSIVE")
    assert "report.json" in captured.err


class Terminal:
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, False),
    ],
)
def test_colour_is_for_terminals_that_somebody_reads(monkeypatch, environ, expected):
    monkeypatch.setattr(os, "environ", environ)

    assert is_readers_terminal(Terminal()) is expected


def test_no_stream_is_no_terminal():
    assert not is_readers_terminal(None)


@pytest.mark.parametrize("arguments", [["check", "--no-such-option"], ["check", "--ranks", "3"]])
@pytest.mark.parametrize(("rank", "lines"), [("0", 1), ("1", 0)])
def test_what_all_ranks_find_wrong_is_told_once(monkeypatch, capsys, arguments, rank, lines):
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", rank)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")

    assert main(arguments) == 4
    assert capsys.readouterr().err.count("\n") == lines


def test_an_empty_directory_for_runs_is_refused(capsys):
    assert main(["check", "--out", ""]) == 4
    assert "--out" in capsys.readouterr().err
