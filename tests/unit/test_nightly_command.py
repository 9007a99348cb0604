"""``netprobe nightly`` as cron sees it: what is printed when, exit codes, files; measuring needs no hosts here."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from nightly_samples import measuring

from netprobe.cli.app import main
from netprobe.cli.nightly import Wish, one_night
from netprobe.cli.options import Judging
from netprobe.errors import LaunchError
from netprobe.model.finding import Gap
from netprobe.model.run import RunStatus
from netprobe.model.verdict import ExitCode, Verdict
from netprobe.store.lock import holder_here, locked
from netprobe.store.nightly import LOCK, read_told

GOLDEN = Path(__file__).parents[1] / "fixtures" / "nightly"


@pytest.fixture
def wish(tmp_path):
    return Wish(folder=tmp_path / "runs", judging=Judging())


@pytest.fixture
def night(wish, capsys):
    """Go through a night; return its exit code and what cron would mail."""

    def go(number, *, always=False, **fault):
        code = one_night(replace(wish, always=always), measuring(wish.folder, number, **fault))
        told = capsys.readouterr()
        assert told.err == ""
        return code, told.out

    return go


def golden(name, text, folder):
    text = text.replace(str(folder), "/shared/runs")
    if os.environ.get("NETPROBE_UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


def test_the_first_night_is_told_and_the_next_one_like_it_is_silent(night):
    code, text = night(0)
    assert code == ExitCode.HEALTHY
    assert text.startswith("netprobe nightly: HEALTHY\n")

    assert night(1) == (ExitCode.HEALTHY, "")


def test_a_summary_can_be_had_every_night(night):
    night(0)

    assert night(1, always=True)[1].startswith("netprobe nightly: HEALTHY\n")


def test_a_fault_is_told_when_it_comes_and_when_it_goes(night, wish):
    night(0)
    code, opened = night(1, slow=(3,))
    assert code == ExitCode.FAULTY
    golden("opened.txt", opened, wish.folder)

    assert night(2, slow=(3,)) == (ExitCode.FAULTY, "")

    code, closed = night(3)
    assert code == ExitCode.DEGRADED  # that it was there is open until somebody acknowledges it
    golden("closed.txt", closed, wish.folder)


def test_a_run_that_did_not_complete_is_told_every_time_and_closes_nothing(night):
    night(0, slow=(3,))
    for number in (1, 2):
        code, text = night(number, status=RunStatus.FAILED)
        assert code == ExitCode.INCONCLUSIVE
        assert "the run did not complete, failed" in text
        assert "closed" not in text

    assert "1 closed" in night(3)[1].splitlines()[0]


def test_a_night_without_a_verdict_says_why(wish, capsys):
    why = (
        Gap(topic="slow-pair", reason="no fabric was crossed"),
        Gap(topic="run", reason="nothing came \x1b[31m for 9 s", remedy="again, with -v", undermines=True),
    )

    def unclear(audience):
        def take(found, run):
            audience.take(replace(found, report=replace(found.report, verdict=Verdict.INCONCLUSIVE, gaps=why)), run)

        return measuring(wish.folder)(replace(audience, take=take))

    assert one_night(wish, unclear) == ExitCode.INCONCLUSIVE
    text = capsys.readouterr().out
    assert "  no verdict, since\n    nothing came \\x1b[31m for 9 s\n    try: again, with -v\n" in text
    assert "no fabric was crossed" not in text


def test_an_interrupted_run_keeps_its_exit_code(night):
    assert night(0, status=RunStatus.INTERRUPTED)[0] == ExitCode.INTERRUPTED


def test_an_interrupted_night_without_a_run_says_so_and_tells_nothing(wish, capsys):
    assert one_night(wish, lambda audience: ExitCode.INTERRUPTED) == ExitCode.INTERRUPTED

    told = capsys.readouterr()
    assert told.out == ""
    assert "nothing was measured" in told.err
    assert read_told(wish.folder) is None


def test_what_prevents_measuring_leaves_the_folder_as_it_was(night, wish):
    def unreachable(audience):
        raise LaunchError("no host can be reached")

    night(0)
    before = {each: each.stat().st_mtime_ns for each in wish.folder.rglob("*.json")}

    with pytest.raises(LaunchError):
        one_night(wish, unreachable)

    assert {each: each.stat().st_mtime_ns for each in wish.folder.rglob("*.json")} == before
    assert night(1) == (ExitCode.HEALTHY, "")


def test_a_mail_fits_78_columns_but_for_paths(night, wish):
    night(0)
    _, text = night(1, slow=(1, 2, 5), hosts=16)

    places = [line for line in text.splitlines() if str(wish.folder) in line]
    assert max(len(line) for line in text.splitlines() if line not in places) <= 78
    assert text.isprintable() or all(line.isprintable() for line in text.splitlines())


def test_the_page_and_the_history_lie_where_the_summary_says(night, wish):
    _, text = night(0)

    named = {line.split(None, 1)[0]: Path(line.split(None, 1)[1]) for line in text.splitlines() if "/" in line}
    assert named["page"].read_text(encoding="utf-8").startswith("<!doctype html>")
    assert named["history"].read_text(encoding="utf-8").count("1 night") == 1
    assert "1 night" in named["nights"].read_text(encoding="utf-8")
    assert named["page"].parent.parent == named["history"].parent == named["nights"].parent == wish.folder


def test_a_damaged_note_of_what_was_told_costs_one_mail_and_no_night(night, wish):
    night(0)
    (wish.folder / "nightly.json").write_text("{")

    code, text = night(1)

    assert code == ExitCode.HEALTHY
    assert "nightly.json is damaged" in " ".join(text.split())
    assert night(2) == (ExitCode.HEALTHY, "")


def test_a_history_that_cannot_be_read_is_never_green(night, wish):
    night(0)
    (wish.folder / "acknowledged.json").write_text("{")

    code, text = night(1)

    assert code == ExitCode.INCONCLUSIVE
    assert "acknowledged.json is damaged" in " ".join(text.split())


def test_two_nights_never_overlap_in_a_folder(wish, capsys):
    wish.folder.mkdir()
    with locked(wish.folder / LOCK, holder_here()):
        code = main(["nightly", "--out", str(wish.folder)])

    error = capsys.readouterr().err
    assert code == ExitCode.SETUP_ERROR
    assert f"is in use: process {os.getpid()} on " in error
    assert error.count("\n") == 1
    assert not any(wish.folder.glob("2*"))


def test_it_is_no_rank_of_somebody_elses_launcher(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")

    assert main(["nightly", "--out", str(tmp_path)]) == ExitCode.SETUP_ERROR
    assert "starts them itself" in capsys.readouterr().err


def test_the_folder_has_to_be_named(monkeypatch, capsys):
    monkeypatch.delenv("NETPROBE_RUNS", raising=False)

    assert main(["nightly"]) == ExitCode.SETUP_ERROR
    assert "--out" in capsys.readouterr().err
