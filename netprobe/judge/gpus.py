"""What the counters of GPUs grew by, out of the table of all counters: a record for each GPU and stage."""

from typing import TYPE_CHECKING, Final

from netprobe.catalogue.keys import GPU, gpu_key_of
from netprobe.model.counters import IDLE
from netprobe.model.gpu import GpuGrowth

if TYPE_CHECKING:
    import polars as pl

PREFIX: Final = f"{GPU}/"


def gpu_growths(counters: "pl.DataFrame") -> tuple[GpuGrowth, ...]:
    """Return what grew over stages, in their order; idle times are left out."""
    grown: dict[tuple[str, int, str, int], dict[str, int]] = {}
    for row in counters.iter_rows(named=True):
        key = gpu_key_of(row["counter"])
        if key is not None and row["stage"] not in IDLE:
            of_gpu = grown.setdefault((row["stage"], row["rank"], key.pci, row["elapsed_ns"]), {})
            of_gpu[key.name] = row["growth"]
    return tuple(
        GpuGrowth(stage=stage, rank=rank, pci=pci, elapsed_ns=elapsed_ns, grown=own)
        for (stage, rank, pci, elapsed_ns), own in grown.items()
    )
