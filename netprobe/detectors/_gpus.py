"""What detectors ask of GPUs: how each did during a stage, which are alike, and of which nothing is known."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.detectors._words import listed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Gap
from netprobe.model.gpu import GpuCount, GpuGrowth, GpuWindow
from netprobe.units import NS_PER_S

NEVER_ASKED: Final = "no driver of NVIDIA was there to ask, or the run is of an older netprobe"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGpu:
    """A GPU, and all that was told of it."""

    host: str
    pci: str
    name: str | None
    windows: tuple[GpuWindow, ...]
    growths: tuple[GpuGrowth, ...]

    @property
    def subject(self) -> str:
        """What reports call it."""
        return f"{self.host} {self.pci}"

    def grown(self, count: GpuCount) -> int | None:
        """Return what a counter grew by over all stages; None where it was not counted."""
        told = [each.grown[count] for each in self.growths if count in each.grown]
        return sum(told) if told else None

    def fastest_per_s(self, count: GpuCount) -> float | None:
        """Return the largest growth a second of a counter in any stage; None where it was not counted.

        A shorter stage counts as one second: a single error in a moment is no rate.
        """
        told = [each for each in self.growths if count in each.grown]
        return max((each.grown[count] * NS_PER_S / max(each.elapsed_ns, NS_PER_S) for each in told), default=None)


def host_gpus(evidence: Evidence) -> tuple[HostGpu, ...]:
    """Return the GPUs that told anything, by host and address."""
    host_of = {rank.rank: rank.host for rank in evidence.ranks}
    windows: dict[tuple[str, str], list[GpuWindow]] = {}
    growths: dict[tuple[str, str], list[GpuGrowth]] = {}
    for window in evidence.gpu_windows:
        if window.pci is not None and window.samples:
            windows.setdefault((host_of[window.rank], window.pci), []).append(window)
    for growth in evidence.gpu_growths:
        growths.setdefault((host_of[growth.rank], growth.pci), []).append(growth)
    return tuple(
        HostGpu(
            host=host,
            pci=pci,
            name=next((each.name for each in windows.get((host, pci), ()) if each.name), None),
            windows=tuple(windows.get((host, pci), ())),
            growths=tuple(growths.get((host, pci), ())),
        )
        for host, pci in sorted({*windows, *growths})
    )


def fell_silent(evidence: Evidence) -> Mapping[tuple[str, str], GpuWindow]:
    """Return by host and address the stage in which a GPU that had answered ceased to."""
    host_of = {rank.rank: rank.host for rank in evidence.ranks}
    answered: set[tuple[str, str]] = set()
    found: dict[tuple[str, str], GpuWindow] = {}
    for window in evidence.gpu_windows:
        if window.pci is not None:
            gpu = host_of[window.rank], window.pci
            answered |= {gpu} if window.samples else set()
            if window.silence is not None and gpu in answered:
                found.setdefault(gpu, window)
    return found


def by_host(gpus: Iterable[HostGpu]) -> Mapping[str, Sequence[HostGpu]]:
    """Return GPUs by host."""
    found: dict[str, list[HostGpu]] = {}
    for each in gpus:
        found.setdefault(each.host, []).append(each)
    return found


def unread_gaps(topic: str, evidence: Evidence) -> Iterator[Gap]:
    """Yield why of some GPUs nothing is known, once for each reason; nothing where there are none.

    The text is the same for every detector that lacks the same, so that reports say it once.
    """
    for reason, subjects in _unread(evidence).items():
        yield Gap(
            topic=topic,
            reason=f"how these GPUs did while it was measured is not known ({listed(subjects)}): {reason}",
            remedy="netprobe doctor on them",
        )


def _unread(evidence: Evidence) -> dict[str, list[str]]:
    """Return by reason which GPUs, or hosts with all of theirs, never told anything."""
    fallen = {f"{host} {pci}" for host, pci in fell_silent(evidence)}
    host_of = {rank.rank: rank.host for rank in evidence.ranks}
    found: dict[str, list[str]] = {}
    for window in evidence.gpu_windows:
        if window.silence is not None:
            host = host_of[window.rank]
            subject = host if window.pci is None else f"{host} {window.pci}"
            found.setdefault(window.silence, []).extend([] if subject in fallen else [subject])
    asked = {host_of[window.rank] for window in evidence.gpu_windows}
    never = [host for host in dict.fromkeys(host_of.values()) if host not in asked and _has_gpu(evidence, host)]
    if never and (evidence.pairs or evidence.has_collectives):
        found[NEVER_ASKED] = never
    return {reason: list(dict.fromkeys(subjects)) for reason, subjects in found.items() if subjects}


def _has_gpu(evidence: Evidence, host: str) -> bool:
    inventory = evidence.inventories.get(host)
    return inventory is not None and bool(inventory.gpus)
