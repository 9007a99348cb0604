"""The schemas and the description of run directories that others rely on."""

import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from sample_reports import SAMPLES
from store_samples import (
    LAUNCH,
    STARTED,
    done,
    fault,
    finished,
    inventory,
    measured,
    plan,
    ready,
    series,
    stage_records,
)

from netprobe.model.run import RunStatus
from netprobe.store.reader import read_report
from netprobe.store.schema import published_schemas, write_schemas
from netprobe.store.series_table import series_schema
from netprobe.store.writer import RunWriter

REPORTS = Path(__file__).parents[2] / "reports"


def validator(name):
    schema = json.loads((REPORTS / "schema" / name).read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def written_run(root):
    writer = RunWriter.create(root, plan(), LAUNCH, started=STARTED)
    for record in (ready(), *stage_records("one"), *stage_records("two"), done("rank 1 hung")):
        writer.emit(record)
    writer.close(RunStatus.FAILED, None)
    return writer


@pytest.mark.parametrize("name", sorted(published_schemas()))
def test_published_schemas_are_those_of_the_records(name):
    published = (REPORTS / "schema" / name).read_bytes()

    assert published == published_schemas()[name], "run: python -m netprobe.store.schema reports/schema"


def test_schemas_are_written_where_they_are_asked_for(tmp_path):
    write_schemas(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {
        "run-1.json", "inventory-1.json", "report-1.json", "comparison-1.json"
    }  # fmt: skip


def test_a_run_that_was_written_fits_the_schema(tmp_path):
    writer = written_run(tmp_path)

    validator("run-1.json").validate(json.loads((writer.directory / "run.json").read_text()))


def test_an_inventory_that_was_written_fits_the_schema(tmp_path):
    writer = RunWriter.create(tmp_path, plan(), LAUNCH, started=STARTED)
    writer.emit(replace(ready(), inventories=(inventory(),)))

    validator("inventory-1.json").validate(json.loads((writer.directory / "inventory.json").read_text()))


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_report_that_was_written_fits_the_schema_and_is_read_back(tmp_path, sample):
    writer = written_run(tmp_path)
    report = SAMPLES[sample]()

    writer.write_report(report)

    validator("report-1.json").validate(json.loads((writer.directory / "report.json").read_text()))
    assert read_report(writer.directory) == report
    assert read_report(writer.directory / "report.json") == report


@pytest.mark.parametrize("spoilt", [{"format": 2}, {"status": "fine"}, {"ranks": [{"rank": 0}]}])
def test_the_schema_refuses_what_a_run_is_not(tmp_path, spoilt):
    run = json.loads((written_run(tmp_path).directory / "run.json").read_text())

    with pytest.raises(ValidationError):
        validator("run-1.json").validate({**run, **spoilt})


def test_the_schema_allows_fields_that_a_later_version_adds(tmp_path):
    run = json.loads((written_run(tmp_path).directory / "run.json").read_text())

    validator("run-1.json").validate({**run, "accelerators": 8})


def test_every_column_is_described():
    table = (REPORTS / "README.md").read_text().partition("## Columns of series.parquet")[2].partition("\n## ")[0]
    described = {name for line in table.splitlines() if line.startswith("| `") for name in _names(line)}

    assert described == set(series_schema())


def _names(line):
    return re.findall(r"`(\w+)`", line.split("|")[1])


def test_the_polars_example_gives_the_bandwidth_of_each_pair(tmp_path, monkeypatch):
    example = re.search(r"```python\n(.*?)```", (REPORTS / "README.md").read_text(), re.DOTALL)[1]
    for night in ("first", "second"):
        writer = RunWriter.create(tmp_path / "runs", plan(), LAUNCH, started=STARTED, run_id=night)
        writer.emit(ready())
        streamed = {"probe": "bandwidth", "bytes_per_iteration": 1000, "iterations": 2, "total_ns": 160}
        rows = (series(**streamed), series(**streamed, round_index=1), series(faults=(fault(),)))
        writer.emit(replace(measured("one"), series=rows))
        writer.emit(finished("one"))
    monkeypatch.chdir(tmp_path)

    names = {}
    exec(example, names)

    assert names["nights"].select("src", "dst", "gbps").rows() == [(0, 1, 100.0), (0, 1, 100.0)]
    assert isinstance(names["nights"], pl.DataFrame)
