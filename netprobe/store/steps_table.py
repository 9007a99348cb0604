"""What seconds of bursts were like, as a table: a row for each, the fields of model.bursts.StepBin in their order."""

from collections.abc import Iterable
from dataclasses import astuple, fields
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from netprobe.errors import FormatError
from netprobe.model.bursts import StepBin

if TYPE_CHECKING:
    import polars as pl


@cache
def steps_schema() -> "pl.Schema":
    """Return the columns of steps.parquet and their types."""
    import polars as pl

    return pl.Schema({each.name: pl.String if each.name == "stage" else pl.Int64 for each in fields(StepBin)})


def steps_frame_of(bins: Iterable[StepBin]) -> "pl.DataFrame":
    """Return the table of these bins, in their order."""
    import polars as pl

    return pl.DataFrame([astuple(each) for each in bins], schema=steps_schema(), orient="row")


def bins_of(frame: "pl.DataFrame") -> tuple[StepBin, ...]:
    """Return the bins in a table; FormatError where a row is none, or tells of no time or no step."""
    try:
        bins = tuple(msgspec.convert(row, StepBin) for row in frame.iter_rows(named=True))
    except msgspec.ValidationError as error:
        raise FormatError(str(error)) from error
    for each in bins:
        counts = (each.rounds, each.steps, each.elapsed_ns)
        times = (each.round_index, each.total_ns, each.max_ns, each.late_ns, each.held_ns, each.slowest_round)
        if min(counts) < 1 or min(times) < 0:
            raise FormatError(f"round {each.round_index} of {each.stage} has no steps, or negative times")
    return bins
