"""What each layer keeps, as a table: layers below each other, kinds of memory side by side."""

from collections.abc import Iterable
from typing import Final

from netprobe.model.plan import Path, memory_title
from netprobe.model.report import LayerSummary
from netprobe.reporters._figures import Figures
from netprobe.reporters._wording import ABSENT, duration, message_size
from netprobe.units import format_gbps

TITLES: Final = {"bandwidth": "bandwidth, one way", "latency": "latency, half a round trip"}
COMMON: Final = ("host memory", "GPU memory", "GPU → host", "host → GPU")
"""Columns that stay however short of room a report is."""
OTHER_SIZE: Final = "^"
NOTE: Final = (
    "in brackets: of the fastest layer below on the same memory and the same pairs, else of host memory; for latency "
    "how many times as long"
)


def layer_figures(rows: Iterable[LayerSummary]) -> tuple[Figures, ...]:
    """Return one table for each probe."""
    by_probe: dict[str, list[LayerSummary]] = {}
    for row in rows:
        by_probe.setdefault(row.probe, []).append(row)
    return tuple(_figures(own) for own in by_probe.values())


def _figures(rows: list[LayerSummary]) -> Figures:
    size_bytes = max((row.size_bytes for row in rows), key=[row.size_bytes for row in rows].count)
    names = {memory_title(row.send_memory, row.receive_memory) for row in rows}
    columns = (*(name for name in COMMON if name in names), *sorted(names - set(COMMON)))
    cells = {(row.path, memory_title(row.send_memory, row.receive_memory)): _cell(row, size_bytes) for row in rows}
    others = sorted({row.size_bytes for row in rows} - {size_bytes})
    marked = f" ({OTHER_SIZE} {', '.join(map(message_size, others))})" if others else ""
    return Figures(
        title=f"layer by layer, the same pairs: {TITLES.get(rows[0].probe, rows[0].probe)}, "
        f"{message_size(size_bytes)}{marked}",
        columns=("layer", *columns),
        words=frozenset({"layer", *columns}),
        dispensable=tuple(reversed([name for name in columns if name not in COMMON])),
        rows=tuple(
            (path.layer, *(cells.get((path, name), ABSENT) for name in columns))
            for path in (Path.VERBS, Path.MPI, Path.NCCL)
            if any(row.path is path for row in rows)
        ),
    )


def _cell(row: LayerSummary, size_bytes: int) -> str:
    """Return ``371 Gb/s (95 %)`` or ``2.40 µs (1.3 ×)``, marked where the size is another."""
    figure = duration(row.typical_ns) if row.typical_gbps is None else format_gbps(row.typical_gbps)
    mark = "" if row.size_bytes == size_bytes else OTHER_SIZE
    if not row.ratio:
        return f"{figure}{mark}"
    kept = f"{100 * row.ratio:.0f} %" if row.typical_gbps is not None else f"{1 / row.ratio:.1f} ×"
    return f"{figure} ({kept}){mark}"
