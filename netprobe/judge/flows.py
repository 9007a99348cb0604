"""Series of the stages that vary the UDP source port, as one table; they are no further measurements of a pair."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from netprobe.model.evidence import NO_FLOWS, FlowTable
from netprobe.model.plan import Plan
from netprobe.plan.flows import FLOWS


def without_flows(pairs: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Return the rows of all other stages: a port that was chosen to be another tells nothing of a host."""
    stages = [stage.id for stage in plan.stages if stage.id.startswith(FLOWS)]
    return pairs.filter(~_is_of(stages)) if stages else pairs


def flow_table(pairs: pl.DataFrame, plan: Plan) -> FlowTable:
    """Return the rows of these stages with their ports."""
    port_of = {
        stage.id: stage.rdma.source_port
        for stage in plan.stages
        if stage.id.startswith(FLOWS) and stage.rdma is not None and stage.rdma.source_port is not None
    }
    rows = pairs.filter(_is_of(port_of)) if port_of else pairs.clear()
    if rows.is_empty():
        return NO_FLOWS
    return FlowTable(
        src=rows["src"].to_numpy(),
        dst=rows["dst"].to_numpy(),
        source_port=np.array([port_of[stage] for stage in rows["stage"]], dtype=np.int64),
        bytes_per_iteration=rows["bytes_per_iteration"].to_numpy(),
        p50_ns=rows["p50_ns"].to_numpy(),
    )


def _is_of(stages: Iterable[str]) -> pl.Expr:
    # Not is_in, which turns the names of millions of rows into text first.
    return pl.any_horizontal([pl.col("stage") == stage for stage in stages])
