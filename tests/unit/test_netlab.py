"""What the lab makes of a run from outside: lost results, descriptors that grow, the Python behind a program."""

import sys

import pytest
from netlab.errors import LabError
from netlab.kept import losses, losses_of, python_of
from netlab.traces import Look, growth

SERIES = 4


def finished(stage, *rounds):
    return [
        {"kind": "round-finished", "stage": stage, "round_index": number, "series": SERIES, "gaps": 0}
        for number in rounds
    ]


def outcome(stage, rounds):
    return {"stage": stage, "rounds": rounds, "is_complete": True}


def looks(*counted):
    return [Look(launch=launch, descriptors=descriptors) for launch, descriptors in counted]


def test_nothing_is_lost_when_every_finished_round_is_kept_with_its_rows():
    told = [{"kind": "ranks-ready"}, *finished("latency", 0, 1, 2), *finished("bandwidth", 0)]

    assert losses(told, [outcome("latency", 3), outcome("bandwidth", 1)], {"latency": 12, "bandwidth": 4}) == []


def test_rounds_before_a_relaunch_are_lost_when_only_those_after_it_are_kept():
    told = [*finished("latency", 0, 1), {"kind": "run-halted"}, {"kind": "ranks-ready"}, *finished("latency", 2)]

    assert losses(told, [outcome("latency", 1)], {"latency": SERIES}) == [
        "latency: 1 rounds are kept of 3",
        "latency: 4 rows of series are kept of 12",
    ]


def test_rows_are_missed_although_the_count_of_rounds_is_right():
    assert losses(finished("latency", 0, 1), [outcome("latency", 2)], {"latency": SERIES}) == [
        "latency: 4 rows of series are kept of 8"
    ]


def test_rows_that_nobody_measured_are_wrong_too():
    assert losses(finished("latency", 0), [outcome("latency", 1)], {"latency": 4, "bandwidth": 4}) == [
        "bandwidth: 4 rows of series are kept of 0"
    ]


def test_a_round_that_a_halt_cost_is_no_loss():
    assert losses(finished("latency", 0, 2), [outcome("latency", 3)], {"latency": 2 * SERIES}) == []


def test_a_stage_without_an_outcome_is_lost():
    assert "latency: 0 rounds are kept of 1" in losses(finished("latency", 0), [], {"latency": SERIES})


def test_a_run_without_a_report_is_lost(tmp_path):
    assert losses_of(None, sys.executable) == ["there is no report"]
    assert losses_of(tmp_path, sys.executable) == ["there is no report"]


def test_the_table_on_disk_is_opened_and_a_damaged_one_holds_nothing(tmp_path):
    pl = pytest.importorskip("polars")
    (tmp_path / "report.json").write_text("{}")
    (tmp_path / "run.json").write_text('{"outcomes": [{"stage": "latency", "rounds": 1}]}')
    (tmp_path / "events.jsonl").write_text('{"kind":"round-finished","stage":"latency","round_index":0,"series":2}\n')
    table = tmp_path / "series.parquet"
    pl.DataFrame({"stage": ["latency", "latency"]}).write_parquet(table)
    assert losses_of(tmp_path, sys.executable) == []

    pl.DataFrame({"stage": ["latency"]}).write_parquet(table)
    assert losses_of(tmp_path, sys.executable) == ["latency: 1 rows of series are kept of 2"]

    table.write_bytes(b"PAR1")
    assert losses_of(tmp_path, sys.executable) == ["latency: 0 rows of series are kept of 2"]


def test_a_file_that_is_open_for_a_moment_and_a_launch_that_dies_are_no_growth():
    assert growth(looks(*((1, each) for each in (10, 10, 9)), *((2, each) for each in (10, 10, 12)))) == 0


def test_descriptors_that_a_launch_left_are_growth():
    counts = {1: (20, 22, 20), 2: (29, 23, 30), 3: (25, 40, 25)}

    assert growth(looks(*((launch, each) for launch, of in counts.items() for each in of))) == 5


def test_descriptors_that_a_single_launch_collects_are_growth():
    assert growth(looks(*((1, each) for each in range(20, 26)))) == 3


def test_a_launch_of_a_look_or_two_tells_nothing():
    assert growth(looks((1, 9), (1, 9), *((2, 20) for _ in range(6)), (3, 30))) == 0


@pytest.mark.parametrize("few", [0, 1, 5])
def test_too_few_looks_tell_nothing(few):
    assert growth(looks(*((1, 9) for _ in range(few)))) is None


def test_the_python_of_a_program_is_the_one_beside_it(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    (tmp_path / "bin/netprobe").write_text("#!/elsewhere/python\n")
    (tmp_path / "netprobe").symlink_to("bin/netprobe")

    assert python_of(str(tmp_path / "netprobe")) == str(tmp_path / "bin/python")


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("#!/opt/np/bin/python3.12 -I", "/opt/np/bin/python3.12"),
        ("#!/usr/bin/env python3", "python3"),
    ],
)
def test_or_else_the_one_that_its_first_line_names(tmp_path, line, python):
    (tmp_path / "netprobe").write_text(f"{line}\nprint()\n")

    assert python_of(str(tmp_path / "netprobe")) == python


def test_a_program_that_names_no_python_is_refused(tmp_path):
    (tmp_path / "netprobe").write_text("#!/bin/sh\n")

    with pytest.raises(LabError, match="which Python"):
        python_of(str(tmp_path / "netprobe"))
