"""Hops of traced rings as tables: one for each stage and size."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from netprobe.model.evidence import HopTable
from netprobe.model.series import Metric

KEYS: Final = ("stage", "probe", "size_bytes")


def hop_tables(timed: pl.DataFrame) -> Iterator[HopTable]:
    """Yield the tables of timed rows that have their statistics."""
    operations = timed.filter(pl.col("metric") == Metric.OPERATION)
    hops = timed.filter(pl.col("metric") == Metric.TRANSFER)
    with_operation = hops.join(
        operations.select(*KEYS, operation_p50_ns="p50_ns").unique(KEYS, maintain_order=True),
        on=KEYS,
        how="left",
        maintain_order="left",
    )
    for _, rows in with_operation.group_by(*KEYS, maintain_order=True):
        first = rows.row(0, named=True)
        operation_p50_ns = first["operation_p50_ns"]
        yield HopTable(
            **{key: first[key] for key in KEYS},
            iterations=first["iterations"],
            messages=first["window"],
            src=rows["src"].to_numpy(),
            dst=rows["dst"].to_numpy(),
            bytes_per_iteration=rows["bytes_per_iteration"].to_numpy(),
            p50_ns=rows["p50_ns"].to_numpy(),
            operation_p50_ns=float("nan") if operation_p50_ns is None else operation_p50_ns,
        )
