"""docs/history.md is executed: its examples run on a folder of runs, its tables are the program's."""

import re
from pathlib import Path

import duckdb
import polars as pl
import pytest
from history_samples import Site, flap

from netprobe.cli.app import app
from netprobe.registry import history_detectors
from netprobe.store.digest import digest_rows_schema, write_digest

PAGE = (Path(__file__).parents[2] / "docs" / "history.md").read_text(encoding="utf-8")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    site = Site(hosts=3, nics=1, nights=5, seen={2: [flap("node02 mlx5_0")], 4: [flap("node02 mlx5_0")]})
    for digest in site.digests():
        (tmp_path / "runs" / digest.run).mkdir(parents=True)
        write_digest(tmp_path / "runs" / digest.run / "digest.parquet", digest)
    monkeypatch.chdir(tmp_path)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_polars_examples_answer(runs):
    told = {}
    for block in blocks("python"):
        exec(block, told)

    assert len(told["worst"]) == 3 * 3
    assert told["named"].select("title", "subject", "nights").rows() == [("link-flap", "node02 mlx5_0", 2)]


def test_the_sql_example_answers_the_same(runs):
    rows = duckdb.sql(blocks("sql")[0]).fetchall()

    assert len(rows) == 5 * 2


def test_the_table_of_detectors_is_the_programs():
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| ([^|]+?) \|$", PAGE.split("## What is found")[1], re.MULTILINE))

    assert rows == {each.id: each.title for each in history_detectors().values()}


def test_the_columns_of_a_digest_are_all_told():
    told = PAGE.split("## digest.parquet")[1].split("A stream is kept")[0]

    assert set(digest_rows_schema()) <= set(re.findall(r"`([a-z]+)`", told))


def test_its_commands_exist():
    commands = {command.callback.__name__ for command in app.registered_commands}
    commands |= {group.typer_instance.info.name for group in app.registered_groups}
    shown = set(re.findall(r"^netprobe (\w+)", "\n".join(blocks("sh")), re.MULTILINE))

    assert shown <= commands
    assert {"history", "baseline", "compare"} <= shown


def test_the_schema_is_one_that_others_read(runs):
    frame = pl.read_parquet("runs/*/digest.parquet", hive_partitioning=False)

    assert frame.schema == digest_rows_schema()
