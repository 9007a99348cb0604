"""Run directories that are whole, cut short, from the future, or somebody else's."""

import json
import shutil

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import LAUNCH, STARTED, done, plan, ready, stage_records

from netprobe.errors import FormatError, StoreError
from netprobe.model.run import RunStatus
from netprobe.store.reader import Run, read_report, read_run
from netprobe.store.writer import RunWriter


def write_run(root, run_id="run"):
    writer = RunWriter.create(root, plan(), LAUNCH, started=STARTED, run_id=run_id)
    for record in (ready(), *stage_records("one"), *stage_records("two"), done()):
        writer.emit(record)
    writer.close(RunStatus.COMPLETE, None)
    return writer.directory


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def directory(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "run")


def change(directory, **fields):
    file = directory / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def complaint(path, read=read_run):
    with pytest.raises(StoreError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "; try: " in message
    return message


def test_a_run_is_read_by_its_directory_or_its_run_json(directory):
    by_directory, by_file = read_run(directory), read_run(directory / "run.json")

    assert by_directory.header == by_file.header
    assert by_directory.series.equals(by_file.series)
    assert by_directory.directory == by_file.directory == directory


def test_rows_of_a_stage_that_run_json_does_not_know_are_dropped(directory):
    header = json.loads((directory / "run.json").read_text())
    change(directory, outcomes=header["outcomes"][:1])

    assert set(read_run(directory).series["stage"]) == {"one"}


def test_ranks_of_a_run_that_knows_no_leaves_are_read(directory):
    header = json.loads((directory / "run.json").read_text())
    change(
        directory, ranks=[{name: value for name, value in rank.items() if name != "leaf"} for rank in header["ranks"]]
    )

    assert {rank.leaf for rank in read_run(directory).header.ranks} == {None}


def test_fields_and_columns_that_a_newer_version_added_are_no_trouble(directory):
    change(directory, gpu_count=8)
    table = directory / "series.parquet"
    pl.read_parquet(table).with_columns(pl.lit(1).alias("retries")).write_parquet(table)

    assert "retries" not in read_run(directory).series.columns


def test_a_directory_whose_name_looks_like_a_pattern_is_read_as_named(pristine, tmp_path):
    copied = shutil.copytree(pristine, tmp_path / "host=node[01-64]*")

    assert len(read_run(copied).series) == 4
    assert "host" not in read_run(copied).series.columns


def test_what_is_not_there_is_said_to_be_missing(tmp_path):
    assert complaint(tmp_path / "gone").startswith(f"{tmp_path / 'gone'} does not exist")


def test_another_file_is_said_to_be_a_file(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")

    assert "notes.txt is a file, not a run directory" in complaint(tmp_path / "notes.txt")


def test_an_empty_directory_is_said_to_be_empty(tmp_path):
    assert "is an empty directory: it has no run.json" in complaint(tmp_path)


def test_a_directory_of_other_things_is_no_run(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")

    assert "is no run directory: it has no run.json" in complaint(tmp_path)


def test_a_directory_of_runs_leads_to_the_newest(tmp_path):
    write_run(tmp_path, "2026-11-22")
    newest = write_run(tmp_path, "2026-11-23")

    assert complaint(tmp_path) == f"{tmp_path} holds 2 runs and is none itself; try: {newest}"


@pytest.mark.parametrize("body", ['{"name": "left-pad", "version": "1.0.0"}', "[1, 2]", '"text"', '{"format": "one"}'])
def test_the_json_of_somebody_else_is_not_taken_for_a_run(directory, body):
    (directory / "run.json").write_text(body)

    assert "run.json was not written by netprobe: " in complaint(directory)


@pytest.mark.parametrize("keep", [0, 1, 100])
def test_a_truncated_run_json_is_damaged(directory, keep):
    file = directory / "run.json"
    file.write_bytes(file.read_bytes()[:keep])

    assert "run.json is damaged: Input data was truncated" in complaint(directory)


def test_a_field_of_a_wrong_type_is_named_by_its_path(directory):
    change(directory, ranks=[{"rank": "zero"}])

    assert "run.json is not as netprobe writes it" in complaint(directory)
    assert "$.ranks[0].rank" in complaint(directory)


def test_a_newer_format_asks_for_an_upgrade(directory):
    change(directory, format=2, netprobe="3.1.4", plan="something else by then")

    assert complaint(directory).endswith(
        "was written by netprobe '3.1.4' in format 2; this netprobe reads up to 1; try: pip install --upgrade netprobe"
    )


@pytest.mark.parametrize("number", [0, -1])
def test_a_format_that_never_was_is_not_ours(directory, number):
    change(directory, format=number)

    assert f"format {number}" in complaint(directory)


def test_ranks_out_of_order_are_refused(directory):
    header = json.loads((directory / "run.json").read_text())
    change(directory, ranks=header["ranks"][::-1])

    assert "does not number its ranks from 0 upwards" in complaint(directory)


def test_missing_series_of_finished_stages_are_missed(directory):
    (directory / "series.parquet").unlink()

    assert "series.parquet is missing, though run.json counts 2 finished stages" in complaint(directory)


def test_missing_series_are_not_missed_before_a_stage_is_finished(directory):
    (directory / "series.parquet").unlink()
    change(directory, outcomes=[])

    assert read_run(directory).series.is_empty()


@pytest.mark.parametrize("keep", [0, 3, 200, -1])
def test_a_truncated_table_is_damaged(directory, keep):
    file = directory / "series.parquet"
    file.write_bytes(file.read_bytes()[:keep])

    assert "series.parquet is truncated or damaged: " in complaint(directory)


def test_a_table_of_something_else_is_named_by_its_columns(directory):
    pl.DataFrame({"stage": ["one"], "src": ["zero"]}).write_parquet(directory / "series.parquet")

    message = complaint(directory)

    assert "is no table of series: " in message
    assert "src" in message


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (pl.lit(9).alias("src"), "ranks that run.json does not name"),
        (pl.lit(-1).alias("dst"), "ranks that run.json does not name"),
        (pl.lit("elapsed_ms").alias("metric"), "a metric that is none"),
        (pl.lit("cooldown").alias("phase"), "a phase that is none"),
        (pl.lit(None, pl.Int64).alias("total_ns"), "empty cells"),
        (pl.lit(-5).alias("total_ns"), "negative sizes or times"),
        (pl.col("histogram_bins").list.head(1), "histograms of uneven length"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(directory, spoilt, told):
    file = directory / "series.parquet"
    table = pl.read_parquet(file)
    table.with_columns(spoilt).cast(table.schema).write_parquet(file)

    assert told in complaint(directory)


def test_a_run_without_a_report_says_how_to_get_one(directory):
    message = complaint(directory, read_report)

    assert message.endswith(f"has no report.json: it was never judged; try: netprobe judge {directory}")


def test_a_report_of_a_newer_format_asks_for_an_upgrade(directory):
    (directory / "report.json").write_text('{"format": 99, "netprobe": "9"}')

    assert "report.json was written by netprobe '9' in format 99" in complaint(directory, read_report)


def test_a_file_that_cannot_be_read_is_named(directory):
    (directory / "run.json").unlink()
    (directory / "run.json").mkdir()

    assert "run.json cannot be read: Is a directory" in complaint(directory)


def test_a_path_that_is_too_long_for_the_system_is_one_line(tmp_path):
    assert "cannot be read: File name too long" in complaint(tmp_path / ("x" * 300))


FUZZ = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=150
)


def is_run_or_store_error(directory):
    try:
        return isinstance(read_run(directory), Run)
    except StoreError as error:
        return "\n" not in str(error)


def spoilt_bytes(data, body):
    kind = data.draw(st.sampled_from(["arbitrary", "cut", "patched"]))
    if kind == "arbitrary":
        return data.draw(st.binary(max_size=200))
    at = data.draw(st.integers(min_value=0, max_value=len(body) - 1))
    if kind == "cut":
        return body[:at]
    patch = data.draw(st.binary(min_size=1, max_size=4))
    return body[:at] + patch + body[at + len(patch) :]


@FUZZ
@given(data=st.data())
def test_whatever_run_json_holds_it_is_a_run_or_an_error_of_the_store(pristine, directory, data):
    (directory / "run.json").write_bytes(spoilt_bytes(data, (pristine / "run.json").read_bytes()))

    assert is_run_or_store_error(directory)


@FUZZ
@given(data=st.data())
def test_whatever_series_parquet_holds_it_is_a_run_or_an_error_of_the_store(pristine, directory, data):
    (directory / "series.parquet").write_bytes(spoilt_bytes(data, (pristine / "series.parquet").read_bytes()))

    assert is_run_or_store_error(directory)


@pytest.mark.parametrize(
    "body", [b'{"format":1,"x":' + b"[" * 100_000, b'{"format":' + b"9" * 5000 + b"}", b"\xff\xfe"]
)
def test_json_made_to_break_readers_is_an_error_of_the_store(directory, body):
    (directory / "run.json").write_bytes(body)

    with pytest.raises(FormatError):
        read_run(directory)


CAUSE = {"rank": 1, "phase": "later", "call": "ibv_poll_cq", "status": "RETRY_EXC_ERR", "vendor_error": 129}
FAILURE = {"stage": "one", "probe": "latency", "round_index": 0, "src": 0, "dst": 1, "size_bytes": 8, "cause": CAUSE}


def with_failure(directory, **changes):
    header = json.loads((directory / "run.json").read_text())
    first, *others = header["outcomes"]
    change(directory, outcomes=[{**first, "failures": [{**FAILURE, **changes}]}, *others])


def test_failures_of_pairs_are_read(directory):
    with_failure(directory)

    (failure,) = read_run(directory).header.outcomes[0].failures

    assert (failure.src, failure.dst, failure.cause.vendor_error) == (0, 1, 129)


@pytest.mark.parametrize("changes", [{"dst": 7}, {"src": -1}, {"cause": {**CAUSE, "rank": 2}}])
def test_failures_of_ranks_that_the_run_does_not_have_are_refused(directory, changes):
    with_failure(directory, **changes)

    assert "tells of RDMA on ranks that it does not name" in complaint(directory)


def test_a_run_from_before_rdma_has_neither_failures_nor_endpoints_and_its_stages_went_over_mpi(directory):
    header = json.loads((directory / "run.json").read_text())
    del header["endpoints"]
    for outcome in header["outcomes"]:
        del outcome["failures"]
    for stage in header["plan"]["stages"]:
        del stage["path"], stage["rdma"]
    (directory / "run.json").write_text(json.dumps(header))

    read = read_run(directory).header

    assert (read.endpoints, read.outcomes[0].failures) == ((), ())
    assert {stage.path for stage in read.plan.stages} == {"mpi"}
