"""What NICs counted from stage to stage: the counters that tell of trouble, of the ports where they grew."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from netprobe.judge.ports import stage_growths
from netprobe.model.counters import IDLE
from netprobe.model.exhibits import PortGrowth
from netprobe.model.meaning import Meaning
from netprobe.model.ports import PortTable, Span

if TYPE_CHECKING:
    from netprobe.store.reader import Run

QUIET: Final = frozenset({
    Meaning.RDMA_SENT_BYTES, Meaning.RDMA_RECEIVED_BYTES, Meaning.RDMA_SENT_PACKETS, Meaning.RDMA_RECEIVED_PACKETS,
    Meaning.WIRE_SENT_BYTES, Meaning.WIRE_RECEIVED_BYTES, Meaning.WIRE_SENT_PACKETS, Meaning.WIRE_RECEIVED_PACKETS,
    Meaning.RAW_BITS, Meaning.FEC_CORRECTED, Meaning.SEND_WAIT,
})  # fmt: skip
"""Traffic, and what every fast port counts while it is well."""


def counted_stages(run: "Run") -> tuple[str, ...]:
    """Return the stages around which counters were read, in the order of the run."""
    whole = run.counters.filter(run.counters["round_index"].is_null())
    return tuple(stage for stage in whole["stage"].unique(maintain_order=True).to_list() if stage not in IDLE)


def growths_of(run: "Run", ports: PortTable) -> Iterator[PortGrowth]:
    """Yield every counter of trouble of every port that grew under load, the rarest kinds of trouble first."""
    if not ports.host:
        return
    stages = counted_stages(run)
    of_stage: dict[tuple[str, str, str], dict[str, float]] = {}
    grown = stage_growths(run.counters, run.header.ranks, run.inventories)
    for stage, host, port, meaning, value in grown.iter_rows():
        of_stage.setdefault((host, port, meaning), {})[stage] = value
    kinds = [meaning for meaning in Meaning if meaning not in QUIET and np.nansum(ports.grown(meaning)) > 0]
    for meaning in sorted(kinds, key=lambda kind: (np.count_nonzero(ports.grown(kind) > 0), kind)):
        grown_by = np.nan_to_num(ports.grown(meaning))
        for index in np.argsort(-grown_by, kind="stable")[: np.count_nonzero(grown_by > 0)].tolist():
            host, port = ports.host[index], ports.name[index]
            by_stage = of_stage.get((host, port, meaning), {})
            yield PortGrowth(
                host=host,
                port=port,
                meaning=meaning.value,
                unit=meaning.unit,
                total=float(grown_by[index]),
                by_stage=tuple(by_stage.get(stage) for stage in stages),
                idle_before=_known(ports, meaning, Span.IDLE_BEFORE, index),
                idle_after=_known(ports, meaning, Span.IDLE_AFTER, index),
            )


def _known(ports: PortTable, meaning: Meaning, span: Span, port: int) -> float | None:
    value = float(ports.grown(meaning, span)[port])
    return value if np.isfinite(value) else None
