"""Digests, folders of runs, baselines and acknowledgements: what is written is read back, and nothing is ever fatal."""

from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest
from history_samples import Site, figure, flap, history_from, on
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import NetprobeError, PlanError, StoreError
from netprobe.history.nights import history_of
from netprobe.model.finding import Severity
from netprobe.model.history import Acknowledgement, Digest, HostFact, Sighting, Unit
from netprobe.model.run import RunStatus
from netprobe.model.verdict import Verdict
from netprobe.store.acknowledged import acknowledge, read_acknowledged
from netprobe.store.baselines import baseline_names, read_baseline, set_baseline
from netprobe.store.digest import DIGEST_FORMAT, digest_frame, read_digest, write_digest
from netprobe.store.history import read_rows, run_directories

names = st.text(min_size=1, max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False)
figures = st.builds(
    figure, names, st.one_of(st.none(), names), numbers, title=names, metric=names, unit=st.sampled_from(Unit),
    mad=st.one_of(st.none(), numbers), samples=st.integers(0, 2**40),
)  # fmt: skip
digests = st.builds(
    Digest,
    run=names,
    started=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
    ),
    status=st.sampled_from(RunStatus),
    profile=names,
    verdict=st.one_of(st.none(), st.sampled_from(Verdict)),
    figures=st.lists(figures, max_size=4).map(tuple),
    facts=st.lists(st.builds(HostFact, host=names, name=names, value=names), max_size=4).map(tuple),
    sightings=st.lists(
        st.builds(
            Sighting, detector=names, severity=st.sampled_from(Severity), subject=names,
            host=st.one_of(st.none(), names), summary=names,
        ),
        max_size=3,
    ).map(tuple),
)  # fmt: skip


def nowhere(directory):
    raise StoreError(f"{directory} holds nothing")


@pytest.fixture(scope="module")
def nights():
    return Site(hosts=4, nics=1, nights=12, seen={3: [flap("node02 mlx5_0")]}).digests()


@pytest.fixture
def folder(tmp_path, nights):
    for digest in nights:
        (tmp_path / digest.run).mkdir()
        write_digest(tmp_path / digest.run / "digest.parquet", digest)
    return tmp_path


def read(folder, make=nowhere):
    return read_rows(run_directories(folder), make)


@given(digests)
@settings(max_examples=40)
def test_a_digest_is_read_as_it_was_written(tmp_path_factory, digest):
    file = tmp_path_factory.mktemp("digest") / "digest.parquet"

    write_digest(file, digest)

    assert read_digest(file) == digest


def test_a_name_that_is_no_text_is_written_with_marks_for_what_is_not(tmp_path):
    hostile = Site(nights=1, hosts=1, nics=1).night(0)
    hostile = replace(hostile, figures=(figure("node\udc80 mlx5_0", "node\udc80", 1.0),))

    write_digest(tmp_path / "digest.parquet", hostile)

    assert read_digest(tmp_path / "digest.parquet").figures[0].host == "node?"


@given(st.binary(max_size=300))
@settings(max_examples=30)
def test_any_bytes_in_place_of_a_digest_are_a_clear_error(tmp_path_factory, body):
    file = tmp_path_factory.mktemp("digest") / "digest.parquet"
    file.write_bytes(body)

    with pytest.raises(StoreError, match=r"digest\.parquet"):
        read_digest(file)


def test_a_folder_is_a_history_in_the_order_of_time(folder, nights):
    history = history_of(read(folder)).history

    assert [night.run for night in history.nights] == [digest.run for digest in nights]
    assert history.trends[0].values.shape == (12, 4)
    assert [(seen.detector, seen.nights) for seen in history.seen] == [("link-flap", (3,))]


def test_one_reading_of_all_files_tells_the_same_as_one_by_one(folder, nights):
    whole = history_of(read(folder)).history
    by_one = history_from(Site(hosts=4, nics=1, nights=12, seen={3: [flap("node02 mlx5_0")]}))

    assert whole.nights == by_one.nights
    assert whole.facts == by_one.facts
    assert [trend.subjects for trend in whole.trends] == [trend.subjects for trend in by_one.trends]
    assert all((a.values == b.values).all() for a, b in zip(whole.trends, by_one.trends, strict=True))


def test_runs_may_lie_in_folders_of_a_cluster_and_a_month(folder, nights):
    deep = folder / "east" / "2026-01"
    deep.mkdir(parents=True)
    (folder / nights[0].run).rename(deep / nights[0].run)

    assert len(read(folder).runs) == 12


@pytest.mark.parametrize("keep", [0, 10, 2000])
def test_a_damaged_digest_is_named_and_costs_no_other_night(folder, nights, keep):
    file = folder / nights[5].run / "digest.parquet"
    file.write_bytes(file.read_bytes()[:keep])

    rows = read(folder)

    assert len(rows.runs) == 11
    assert [each.directory.name for each in rows.skipped] == [nights[5].run]
    gaps = history_of(rows).history.gaps
    assert any(nights[5].run in gap.reason and "is left out" in gap.reason for gap in gaps)


def test_a_damaged_digest_beside_its_run_is_made_again(folder, nights):
    directory = folder / nights[5].run
    (directory / "run.json").write_text("{}")
    (directory / "digest.parquet").write_bytes(b"PAR1")

    assert len(read(folder, lambda _: nights[5]).runs) == 12
    assert read_digest(directory / "digest.parquet") == nights[5]


def test_a_digest_of_a_run_that_goes_on_is_not_kept(folder, nights):
    directory = folder / "going-on"
    directory.mkdir()
    (directory / "run.json").write_text("{}")

    rows = read(folder, lambda _: replace(nights[5], run="going-on", status=RunStatus.RUNNING, figures=()))

    assert len(rows.runs) == 13
    assert not (directory / "digest.parquet").exists()


def test_a_newer_format_is_left_out_and_asks_for_an_upgrade(folder, nights):
    frame = digest_frame(nights[5]).with_columns(format=pl.lit(DIGEST_FORMAT + 1, dtype=pl.Int64))
    frame.write_parquet(folder / nights[5].run / "digest.parquet")

    (skipped,) = read(folder).skipped

    assert "pip install --upgrade netprobe" in skipped.reason


def test_a_column_that_a_newer_version_added_is_no_trouble(folder, nights):
    digest_frame(nights[5]).with_columns(new=pl.lit(1)).write_parquet(folder / nights[5].run / "digest.parquet")

    assert len(read(folder).runs) == 12


def test_a_copy_of_a_run_is_one_night(folder, nights):
    (folder / "copy").mkdir()
    write_digest(folder / "copy" / "digest.parquet", nights[5])

    history = history_of(read(folder)).history

    assert len(history.nights) == 12
    assert any("copies" in gap.reason for gap in history.gaps)


def test_runs_of_another_cluster_are_left_out_and_told(folder):
    other = replace(Site(nights=1).night(0), run="other")
    other = replace(other, facts=tuple(replace(fact, host=f"gpu-{fact.host}") for fact in other.facts))
    (folder / "other").mkdir()
    write_digest(folder / "other" / "digest.parquet", other)

    history = history_of(read(folder)).history

    assert "other" not in [night.run for night in history.nights]
    assert any("1 runs of other hosts" in gap.reason for gap in history.gaps)


def test_an_empty_folder_has_nothing_to_look_back_at(tmp_path):
    with pytest.raises(StoreError, match="no run to look back at"):
        history_of(read(tmp_path))


def test_a_folder_that_is_none_is_said_to_be_none(tmp_path):
    with pytest.raises(StoreError, match="is no directory"):
        run_directories(tmp_path / "nowhere")


def test_a_profile_that_nobody_ran_is_told_with_those_that_were(folder):
    with pytest.raises(StoreError, match="no run of profile 'deep'; try: nightly"):
        history_of(read(folder), profile="deep")


def test_a_baseline_is_kept_as_it_was(tmp_path, nights):
    set_baseline(tmp_path, "acceptance-2026", nights[3], on(3), replaces=False)

    kept = read_baseline(tmp_path, "acceptance-2026")

    assert (kept.digest, kept.set_at, baseline_names(tmp_path)) == (nights[3], on(3), ("acceptance-2026",))


def test_a_baseline_is_not_replaced_by_accident(tmp_path, nights):
    set_baseline(tmp_path, "good", nights[3], on(3), replaces=False)

    with pytest.raises(PlanError, match="already"):
        set_baseline(tmp_path, "good", nights[4], on(4), replaces=False)
    set_baseline(tmp_path, "good", nights[4], on(4), replaces=True)

    assert read_baseline(tmp_path, "good").digest == nights[4]


@pytest.mark.parametrize("name", ["../up", "", "a/b", ".hidden", "x" * 80, "new\nline"])
def test_a_name_that_would_be_a_path_is_refused(tmp_path, nights, name):
    with pytest.raises(PlanError, match="no name for a baseline"):
        set_baseline(tmp_path, name, nights[3], on(3), replaces=False)
    assert list(tmp_path.iterdir()) == []


def test_a_digest_is_no_baseline(tmp_path, nights):
    (tmp_path / "baselines").mkdir()
    write_digest(tmp_path / "baselines" / "odd.parquet", nights[0])

    with pytest.raises(StoreError, match="is no baseline"):
        read_baseline(tmp_path, "odd")


def test_acknowledging_twice_keeps_the_last_and_the_others(tmp_path):
    for night, subject in ((1, "a"), (2, "b"), (3, "a")):
        acknowledge(tmp_path, Acknowledgement(detector="link-flap", subject=subject, at=on(night)))

    assert [(each.subject, each.at) for each in read_acknowledged(tmp_path)] == [("b", on(2)), ("a", on(3))]


@given(st.binary(max_size=200))
@settings(max_examples=30)
def test_any_bytes_in_place_of_acknowledgements_are_a_clear_error_or_none(tmp_path_factory, body):
    root = tmp_path_factory.mktemp("runs")
    (root / "acknowledged.json").write_bytes(body)

    try:
        assert read_acknowledged(root) is not None
    except NetprobeError as error:
        assert "acknowledged.json" in str(error)
        assert "\n" not in str(error)
