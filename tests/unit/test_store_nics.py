"""What hosts are made of, and what their NICs counted, is kept with the run."""

from dataclasses import replace

import polars as pl
import pytest
from store_samples import LAUNCH, STARTED, inventory, plan, ready, stage_records, window

from netprobe.errors import FormatError
from netprobe.model.counters import IDLE_AFTER, IDLE_BEFORE
from netprobe.model.record import SpanCounted
from netprobe.model.run import RunStatus
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter


@pytest.fixture
def writer(tmp_path):
    return RunWriter.create(tmp_path, plan(), LAUNCH, started=STARTED)


def counted(run):
    return run.counters.select("stage", "round_index", "counter", "growth", "at_least").rows()


def test_inventories_come_back_as_they_were_told(writer):
    writer.emit(replace(ready(), inventories=(inventory("node0"), inventory("node1"))))

    assert read_run(writer.directory).inventories == (inventory("node0"), inventory("node1"))


def test_a_run_of_a_version_without_inventories_is_read_all_the_same(writer):
    writer.emit(ready())

    assert read_run(writer.directory).inventories == ()


def test_a_damaged_inventory_is_named(writer):
    writer.emit(replace(ready(), inventories=(inventory(),)))
    (writer.directory / "inventory.json").write_text('{"format": 1, "hosts": [{"host": 3}]}')

    with pytest.raises(FormatError, match=r"inventory.json is not as netprobe writes it: .*hosts\[0\].host"):
        read_run(writer.directory)


def test_a_later_launch_does_not_change_what_was_there_at_first(writer):
    writer.emit(replace(ready(), inventories=(inventory("node0"),)))
    writer.emit(replace(ready(), inventories=(inventory("node1"),)))

    assert [each.host for each in read_run(writer.directory).inventories] == ["node0"]


def test_what_was_counted_in_an_idle_time_is_on_disk_at_once(writer):
    writer.emit(ready())
    writer.emit(SpanCounted(windows=(window(IDLE_BEFORE, at_least=("rdma/mlx5_0/1/out_of_sequence",)),)))

    assert counted(read_run(writer.directory)) == [(IDLE_BEFORE, None, "rdma/mlx5_0/1/out_of_sequence", 3, True)]


def test_what_was_counted_over_a_stage_is_kept_with_the_stage(writer):
    writer.emit(ready())
    *rounds, finished = stage_records("one")
    for record in rounds:
        writer.emit(record)
    writer.emit(SpanCounted(windows=(window("one"),)))
    before = counted(read_run(writer.directory))
    writer.emit(finished)
    writer.emit(SpanCounted(windows=(window(IDLE_AFTER),)))

    assert before == []
    stages = [(stage, index) for stage, index, *_ in counted(read_run(writer.directory)) if index is None]
    assert stages == [("one", None), (IDLE_AFTER, None)]


def test_what_was_counted_over_a_stage_that_was_cut_short_goes_with_it(writer):
    writer.emit(ready())
    writer.emit(SpanCounted(windows=(window("one"),)))
    writer.close(RunStatus.INTERRUPTED)

    assert counted(read_run(writer.directory)) == []


def test_counters_of_a_version_that_did_not_tell_the_least_are_exact(writer):
    writer.emit(ready())
    writer.emit(SpanCounted(windows=(window(IDLE_BEFORE),)))
    path = writer.directory / "counters.parquet"
    pl.read_parquet(path).drop("at_least").write_parquet(path)

    assert [at_least for *_, at_least in counted(read_run(writer.directory))] == [False]
