"""The layers of a report: what verbs, MPI and NCCL do with the same pairs, and on which memory."""

from collections.abc import Iterable

import numpy as np

from netprobe.locate.layers import Layer, LayerTable, layer_tables
from netprobe.model.evidence import PairTable
from netprobe.model.report import LayerSummary


def layer_summaries(pairs: Iterable[PairTable]) -> tuple[LayerSummary, ...]:
    """Return the layers of all probes of which two or more were measured, the lowest first."""
    tables = [table for table in layer_tables(pairs) if len(table.layers) > 1]
    return tuple(_summary(table, layer) for table in tables for layer in table.layers)


def _summary(table: LayerTable, layer: Layer) -> LayerSummary:
    against = table.against(layer)
    compared = layer.speed if against is None else against.ratio
    kept = np.isfinite(compared)
    speed = float(np.median(layer.speed[kept]))
    send, receive = layer.memories
    lower = None if against is None else against.lower
    return LayerSummary(
        probe=table.probe,
        path=layer.path,
        send_memory=send,
        receive_memory=receive,
        size_bytes=layer.size_bytes,
        pairs=int(kept.sum()),
        typical_gbps=None if table.is_latency else speed,
        typical_ns=1.0 / speed if table.is_latency else None,
        ratio=None if against is None else against.typical_ratio,
        of_path=None if lower is None else lower.path,
        of_send_memory=None if lower is None else lower.memories[0],
        of_receive_memory=None if lower is None else lower.memories[1],
    )
