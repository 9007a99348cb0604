"""GPUs as tables: which one and which NIC each rank used, and what each copied."""

from typing import Final

from netprobe.model.gpu import CopyRate, CopyWay
from netprobe.model.report import GpuSummary, Report
from netprobe.reporters._figures import Figures
from netprobe.reporters._wording import ABSENT, short_name, visible
from netprobe.units import format_gbps

WAYS: Final = tuple(CopyWay)
COPIES_NOTE: Final = (
    "in brackets: of what carries a copy at most (PCI Express, NVLinks, half of what the GPU's memory does), where "
    "that is known"
)


def map_figures(report: Report) -> tuple[Figures, ...]:
    """Return the GPU and the NIC of each rank, and why it has them; nothing without GPUs."""
    if not report.gpus:
        return ()
    columns = ("rank", "GPU", "address", "kind", "NIC", "why")
    rows = tuple(
        (_rank(each), str(each.ordinal), each.pci, each.name, each.nic or ABSENT, each.why or ABSENT)
        for each in report.gpus
    )
    return (
        Figures(title="the GPU and the NIC of each rank", columns=columns, words=frozenset(columns), rows=_shown(rows)),
    )


def copy_figures(report: Report, *, only_slow: bool) -> tuple[Figures, ...]:
    """Return what GPUs copied, on request of those alone that a judge finds slow; nothing where nobody copied."""
    gpus = [each for each in report.gpus if each.copies and (each.copies_are_slow or not only_slow)]
    ways = [way for way in WAYS if any(rate.way is way for each in gpus for rate in each.copies)]
    if not gpus:
        return ()
    columns = ("rank", "GPU", *(way.value for way in ways))
    rows = tuple((_rank(each), each.pci, *(_cell(each, way) for way in ways)) for each in gpus)
    title = "copies of GPUs that are slow" if only_slow else "copies of GPUs"
    return (Figures(title=title, columns=columns, words=frozenset(columns), rows=_shown(rows)),)


def _rank(gpu: GpuSummary) -> str:
    return f"{short_name(gpu.host)}:{gpu.rank}"


def _cell(gpu: GpuSummary, way: CopyWay) -> str:
    rate = next((each for each in gpu.copies if each.way is way), None)
    return ABSENT if rate is None else rate_of(rate)


def rate_of(rate: CopyRate) -> str:
    """Return ``440 Gb/s (95 %)``; the share where it is known what carries it at most."""
    share = f" ({100 * rate.gbps / rate.expected_gbps:.0f} %)" if rate.expected_gbps else ""
    return f"{format_gbps(rate.gbps)}{share}"


def _shown(rows: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(visible(cell) for cell in row) for row in rows)
