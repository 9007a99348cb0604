"""What GPUs showed is kept with the run, and comes to the judges with what they counted."""

from dataclasses import fields, replace

import polars as pl
import pytest
from fake_gpus import PCI
from store_samples import LAUNCH, STARTED, plan, ready, stage_records, window

from netprobe.errors import FormatError
from netprobe.judge.evidence import evidence_of
from netprobe.model.counters import IDLE_AFTER
from netprobe.model.gpu import GpuGrowth, GpuWindow, Hold
from netprobe.model.record import GpusSampled, SpanCounted
from netprobe.model.run import RunStatus
from netprobe.store.files import GPUS_FILE
from netprobe.store.gpus_table import gpus_frame_of, gpus_schema, windows_of
from netprobe.store.reader import read_run
from netprobe.store.whole import write_whole
from netprobe.store.writer import RunWriter

WHOLE = GpuWindow(
    stage="one", rank=0, pci=PCI, name="NVIDIA H100", silence=None, samples=9, samples_busy=8, samples_held=2,
    holds={Hold.POWER_BRAKE: 2, Hold.HARDWARE: 2}, sm_clock_least_mhz=900, sm_clock_typical_mhz=1979.5,
    sm_clock_held_mhz=990.0, sm_clock_target_mhz=1980, memory_clock_typical_mhz=2619.0, memory_clock_most_mhz=2619,
    celsius_most=70, slowdown_celsius=87, power_most_watts=698.5, power_limit_watts=700.0, pcie_generation_best=5,
    pcie_generation_most=5, pcie_width_least=16, pcie_width_most=16, links=18, links_active_least=17,
    remap_pending=True, remap_failed=False,
)  # fmt: skip
SILENT = GpuWindow(stage="one", rank=1, pci=None, silence="nvidia-ml-py is not installed")


@pytest.fixture
def writer(tmp_path):
    writer = RunWriter.create(tmp_path, plan(), LAUNCH, started=STARTED)
    writer.emit(ready())
    return writer


def finish(writer, *windows):
    *rounds, finished = stage_records()
    for record in (*rounds, *([GpusSampled(windows=windows)] if windows else []), finished):
        writer.emit(record)
    return read_run(writer.directory)


def test_every_field_of_a_window_has_a_column_and_comes_back():
    assert list(gpus_schema()) == [each.name for each in fields(GpuWindow)]
    assert windows_of(gpus_frame_of((WHOLE, SILENT))) == (WHOLE, SILENT)


def test_windows_are_on_disk_when_their_stage_is(writer):
    assert finish(writer, WHOLE, SILENT).gpu_windows == (WHOLE, SILENT)


def test_a_run_without_gpus_has_no_file_of_them(writer):
    assert finish(writer).gpu_windows == ()
    assert not (writer.directory / GPUS_FILE).exists()


def test_windows_of_a_stage_that_was_cut_short_are_there_with_its_rounds(writer):
    *rounds, _ = stage_records()
    for record in (*rounds, GpusSampled(windows=(WHOLE,))):
        writer.emit(record)
    writer.close(RunStatus.INTERRUPTED)

    assert read_run(writer.directory).gpu_windows == (WHOLE,)


def test_windows_of_stages_that_run_json_does_not_name_are_left_out(writer):
    assert finish(writer, replace(WHOLE, stage="never")).gpu_windows == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rank": pl.lit(99, dtype=pl.Int64)}, "ranks that run.json does not name"),
        ({"samples": pl.lit(None, dtype=pl.Int64)}, "is not as netprobe writes it"),
        ({"samples": pl.lit("many")}, "samples missing or of another type"),
    ],
)
def test_a_damaged_table_is_one_line(writer, change, says):
    finish(writer, WHOLE)
    file = writer.directory / GPUS_FILE
    pl.read_parquet(file).with_columns(**change).write_parquet(file)

    with pytest.raises(FormatError, match=says):
        read_run(writer.directory)


def test_a_run_made_in_memory_has_its_windows_on_disk(writer, tmp_path):
    run = finish(writer, WHOLE)
    run = replace(run, header=replace(run.header, id="again"))

    assert read_run(write_whole(run, tmp_path)).gpu_windows == (WHOLE,)


def test_judges_see_windows_and_growth_and_not_among_the_counters_of_hosts(writer):
    grown = {f"gpu/{PCI}/nvlink_crc": 5, f"gpu/{PCI}/ecc_uncorrected": 1, "tcp/RetransSegs": 2}
    writer.emit(SpanCounted(windows=(window(grown=grown),)))
    writer.emit(SpanCounted(windows=(window(IDLE_AFTER, grown=grown),)))

    evidence = evidence_of(finish(writer, WHOLE))

    assert evidence.gpu_windows == (WHOLE,)
    assert evidence.gpu_growths == (
        GpuGrowth(
            stage="one", rank=0, pci=PCI, elapsed_ns=2_000_000_000, grown={"nvlink_crc": 5, "ecc_uncorrected": 1}
        ),
    )
    assert not any(name.startswith("gpu/") for name in evidence.counters.grown)
