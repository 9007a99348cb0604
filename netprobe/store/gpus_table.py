"""What GPUs showed while stages ran, as a table: a row for each GPU in each stage, or for a host that told of none."""

from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from netprobe.errors import FormatError
from netprobe.model.gpu import GpuWindow

if TYPE_CHECKING:
    import polars as pl


@cache
def gpus_schema() -> "pl.Schema":
    """Return the columns of gpus.parquet and their types: the fields of model.gpu.GpuWindow, in their order."""
    import polars as pl

    columns: dict[str, pl.DataType | type[pl.DataType]] = {
        "stage": pl.String,
        "rank": pl.Int64,
        "pci": pl.String,
        "name": pl.String,
        "silence": pl.String,
        "samples": pl.Int64,
        "samples_busy": pl.Int64,
        "samples_held": pl.Int64,
        "holds": pl.List(pl.Struct({"reason": pl.String, "samples": pl.Int64})),
        "sm_clock_least_mhz": pl.Int64,
        "sm_clock_typical_mhz": pl.Float64,
        "sm_clock_held_mhz": pl.Float64,
        "sm_clock_target_mhz": pl.Int64,
        "memory_clock_typical_mhz": pl.Float64,
        "memory_clock_most_mhz": pl.Int64,
        "celsius_most": pl.Int64,
        "slowdown_celsius": pl.Int64,
        "power_most_watts": pl.Float64,
        "power_limit_watts": pl.Float64,
        "pcie_generation_best": pl.Int64,
        "pcie_generation_most": pl.Int64,
        "pcie_width_least": pl.Int64,
        "pcie_width_most": pl.Int64,
        "links": pl.Int64,
        "links_active_least": pl.Int64,
        "links_switched_least": pl.Int64,
        "link_generation": pl.Int64,
        "remap_pending": pl.Boolean,
        "remap_failed": pl.Boolean,
    }
    return pl.Schema(columns)


def gpus_frame_of(windows: Iterable[GpuWindow]) -> "pl.DataFrame":
    """Return the table of these windows, in their order."""
    import polars as pl

    return pl.DataFrame([_row(window) for window in windows], schema=gpus_schema(), orient="row")


def windows_of(frame: "pl.DataFrame") -> tuple[GpuWindow, ...]:
    """Return the windows in a table; FormatError where a row is none."""
    rows = ({**row, "holds": _holds(row["holds"])} for row in frame.iter_rows(named=True))
    try:
        return tuple(msgspec.convert(row, GpuWindow) for row in rows)
    except msgspec.ValidationError as error:
        raise FormatError(str(error)) from error


def _row(window: GpuWindow) -> dict[str, Any]:
    holds = [{"reason": reason.value, "samples": samples} for reason, samples in window.holds.items()]
    return {**asdict(window), "holds": holds}


def _holds(told: list[dict[str, Any]] | None) -> dict[str, int]:
    return {each["reason"]: each["samples"] for each in told or ()}
