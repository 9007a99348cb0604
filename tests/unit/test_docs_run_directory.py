"""docs/run-directory.md is executed: each of its examples answers on runs that two nights left behind."""

import json
import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from sample_reports import SAMPLES
from store_samples import LAUNCH, STARTED, done, finished, measured, plan, ready, series

from netprobe.model.counters import CounterWindow
from netprobe.model.histogram import Histogram
from netprobe.model.run import RunStatus
from netprobe.model.series import Metric
from netprobe.store.writer import RunWriter

PAGE = (Path(__file__).parents[2] / "docs" / "run-directory.md").read_text(encoding="utf-8")
NIGHTS = ("first", "second")


def read_json(file):
    return json.loads(file.read_text(encoding="utf-8"))


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    for night, report in zip(NIGHTS, SAMPLES.values(), strict=False):
        writer = RunWriter.create(tmp_path / "runs", plan(("one",)), LAUNCH, started=STARTED, run_id=night)
        writer.emit(ready())
        streamed = {"probe": "bandwidth", "metric": Metric.WINDOW, "bytes_per_iteration": 1000, "iterations": 2}
        stamped = {"histogram": Histogram(bins=(100, 300), counts=(98, 2)), "iterations": 100}
        rows = (series(**streamed, total_ns=160), series(**stamped, metric=Metric.ROUND_TRIP))
        windows = tuple(
            CounterWindow(stage="one", round_index=index, rank=0, elapsed_ns=10, grown={"tcp/RetransSegs": 3})
            for index in (0, None)
        )
        writer.emit(replace(measured("one"), series=rows, counters=windows))
        writer.emit(finished("one"))
        writer.emit(done())
        writer.close(RunStatus.COMPLETE, None)
        writer.write_report(report())
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def told(runs):
    names = {}
    for block in blocks("python"):
        exec(block, names)
    return names


@pytest.fixture
def answers(runs):
    return [duckdb.sql(block) for block in blocks("sql")]


def test_what_was_said_of_each_run(told, answers):
    assert told["verdicts"].height == len(NIGHTS)
    by_polars = told["verdicts"].select("run_id", "verdict", "exit_code").rows()
    assert sorted(by_polars) == sorted((run, verdict, code) for run, _, verdict, code in answers[0].fetchall())


def test_each_finding_is_a_row_that_names_somebody(answers, runs):
    rows = answers[1].fetchall()

    found = sum(len(report["findings"]) for report in map(read_json, sorted(Path("runs").glob("*/report.json"))))
    assert len(rows) == found > 0
    assert all(severity and detector and subjects for _, severity, detector, subjects, _ in rows)


def test_ranks_get_their_hosts(told):
    assert told["ranks"].select("run", "rank").rows() == [(night, rank) for night in NIGHTS for rank in (0, 1)]


def test_pairs_get_their_bandwidth_and_latency(told, answers):
    # 2 windows of 1,000 bytes in 160 ns; 100 round trips that took what the series says
    assert told["slowest"].get_column("gbps").to_list() == [100.0, 100.0]
    rows = answers[2].fetchall()
    expected = series(iterations=100).total_ns / 100 / 2 / 1000
    assert [row[4] for row in rows] == pytest.approx([expected] * len(NIGHTS))


def test_a_percentile_is_the_bin_that_holds_it(answers):
    # 98 of 100 in the bin of 100 ns, 2 in bin 300, which begins at (300 - 128) << 1
    assert answers[3].fetchall() == [(8, 344)]


def test_a_growth_counts_once_although_a_stage_holds_its_rounds(told, answers):
    grown = told["grown"].select("counter", "rank", "growth").rows()

    assert grown == [("tcp/RetransSegs", 0, 3)] * len(NIGHTS)
    assert [row[4] for row in answers[4].fetchall()] == [3, 3]


def test_nothing_that_the_page_shows_is_left_out():
    assert (len(blocks("python")), len(blocks("sql"))) == (4, 5)
