"""GPUs whose clock is held down by heat or by their power supply, whose memory fails, or that are lost on the way.

Does not handle: a power limit or application clocks that somebody has set lower on one GPU than on others.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from netprobe.contracts import Detector
from netprobe.detectors._gpu_copies import SlowCopy, slow_copies
from netprobe.detectors._gpus import HostGpu, by_host, fell_silent, host_gpus, unread_gaps
from netprobe.detectors._words import MOST_FACTS, listed, on_hosts, percent
from netprobe.locate.fleet import FEWEST
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.gpu import FAULTY_HOLDS, CopyWay, GpuCount, GpuWindow, Hold
from netprobe.model.limits import Limits
from netprobe.units import NS_PER_S, format_gbps

ID = "gpu-throttle"
FEWEST_HELD: Final = 3
"""Samples: the hardware also tells of a slowdown while clocks change (nvml.h), which is over by the next sample."""
RUN: Final = "all stages"
SHORTEST_NS: Final = NS_PER_S
NEXT: Final = {
    Hold.HARDWARE_THERMAL: "look at its fans, heat sink, coolant and the air of its row; compare with nvidia-smi -q -d "
    "TEMPERATURE,PERFORMANCE on a healthy host",
    Hold.SOFTWARE_THERMAL: "look at its fans, heat sink, coolant and the air of its row; compare with nvidia-smi -q -d "
    "TEMPERATURE,PERFORMANCE on a healthy host",
    Hold.POWER_BRAKE: "look at the power supplies and power cap of the host (ipmitool sensor, its BMC's log), then at "
    "the GPU's power cables",
    Hold.HARDWARE: "nvidia-smi -q -d PERFORMANCE,POWER,TEMPERATURE there: heat, or a power supply that is too weak",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A GPU in the stage in which it lost most."""

    gpu: HostGpu
    stage: str
    share: float
    """Of the stage."""
    cause: Hold
    window: GpuWindow | None
    """None where it was counted, and no sample shows it."""
    expected_mhz: float | None
    peers: int
    """Whose clocks the expected one is the median of; 0: it is the GPU's own target."""

    @property
    def loss(self) -> float | None:
        """Return the share of its clock that it lacked while it was held; None where clocks are not known."""
        held_mhz = None if self.window is None else self.window.sm_clock_held_mhz
        if held_mhz is None or not self.expected_mhz:
            return None
        return max(0.0, 1.0 - held_mhz / self.expected_mhz)

    @property
    def cost(self) -> float:
        """Return the share of its clock that it lost over the stage; 0 where clocks are not known."""
        return self.share * (self.loss or 0.0)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name GPUs that are held down, and GPUs whose memory fails."""
    gpus = host_gpus(evidence)
    held = [worst for each in gpus if (worst := _worst(each, gpus, limits)) is not None]
    held_by_host = by_host(each.gpu for each in held)
    for host in held_by_host:
        yield _finding([each for each in held if each.gpu.host == host], limits)
    for host, own in by_host(gpus).items():
        failing = [each for each in own if any(_memory_facts(each))]
        if failing:
            yield _memory_finding(host, failing)
    for gpu in gpus:
        slow = slow_copies(gpu, (CopyWay.WITHIN_GPU,), evidence, limits)
        if slow and gpu.host not in held_by_host:
            yield _slow_memory(gpu, slow[0], limits)
    yield from (_lost(host, pci, window) for (host, pci), window in fell_silent(evidence).items())
    yield from unread_gaps(ID, evidence)
    yield from _idle_gap(evidence, gpus)
    yield from _too_few_gap(gpus)


def _slow_memory(gpu: HostGpu, copy: SlowCopy, limits: Limits) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.MEDIUM,
        subjects=(gpu.subject,),
        hosts=(gpu.host,),
        summary=f"copies within a GPU reach {percent(copy.ratio)} of what its memory carries: "
        f"{format_gbps(copy.rate.gbps)} of {format_gbps(copy.expected_gbps)}",
        facts=(
            Fact(metric=f"copies within the GPU {gpu.pci}", observed=format_gbps(copy.rate.gbps),
                 expected=f"at least {format_gbps(limits.copy_ratio * copy.expected_gbps)}",
                 basis=f"{percent(limits.copy_ratio)} of half of what its memory does (docs/expectations.md)"),
        ),
        next_action=f"on {gpu.host}: nvidia-smi -q -d CLOCK,PERFORMANCE -i {shlex.quote(gpu.pci)} for the memory's "
        "clock, and nvidia-smi for who else uses it",
        retest=on_hosts("netprobe check", (gpu.host,)),
    )  # fmt: skip


def _worst(gpu: HostGpu, everybody: Sequence[HostGpu], limits: Limits) -> _Held | None:
    found = [*_sampled(gpu, everybody, limits), *_counted(gpu, limits)]
    return max(found, key=lambda each: (each.window is not None, each.cost, each.share), default=None)


def _sampled(gpu: HostGpu, everybody: Sequence[HostGpu], limits: Limits) -> Iterator[_Held]:
    spans = [(window.stage, window.samples_held, window.samples, window) for window in gpu.windows]
    if len(spans) > 1:  # short stages have few samples each
        most = max(gpu.windows, key=lambda each: each.samples_held)
        spans.append(
            (RUN, sum(each.samples_held for each in gpu.windows), sum(each.samples for each in gpu.windows), most)
        )
    for stage, samples_held, samples, window in spans:
        share = samples_held / samples
        if samples_held < FEWEST_HELD or share < limits.gpu_held_ratio:
            continue
        peers = _clocks_of_peers(gpu, window.stage, everybody)
        yield _Held(
            gpu=gpu,
            stage=stage,
            share=share,
            # Of two that are told as often the more telling one; max() keeps the first.
            cause=max(FAULTY_HOLDS, key=lambda hold: (window.holds.get(hold, 0), hold is not Hold.HARDWARE)),
            window=window,
            expected_mhz=median(peers) if len(peers) >= FEWEST else window.sm_clock_target_mhz,
            peers=len(peers) if len(peers) >= FEWEST else 0,
        )


def _clocks_of_peers(gpu: HostGpu, stage: str, everybody: Sequence[HostGpu]) -> list[float]:
    """Return the typical clocks in a stage of GPUs of the same kind that nothing held down."""
    return [
        window.sm_clock_typical_mhz
        for other in everybody
        if other.name == gpu.name and other.subject != gpu.subject
        for window in other.windows
        if window.stage == stage and not window.samples_held and window.sm_clock_typical_mhz is not None
    ]


def _counted(gpu: HostGpu, limits: Limits) -> Iterator[_Held]:
    """Yield stages in which the driver counted time, whatever samples showed: they may have missed it."""
    for growth in gpu.growths:
        held_ns = growth.grown.get(GpuCount.THERMAL_NS, 0)
        share = held_ns / max(growth.elapsed_ns, SHORTEST_NS)
        if share >= limits.gpu_held_ratio:
            yield _Held(
                gpu=gpu,
                stage=growth.stage,
                share=min(share, 1.0),
                cause=Hold.SOFTWARE_THERMAL,
                window=None,
                expected_mhz=None,
                peers=0,
            )


def _finding(held: Sequence[_Held], limits: Limits) -> Finding:
    main = max(held, key=lambda each: (each.cost, each.share))
    host, is_sure = main.gpu.host, all(each.window is not None for each in held)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if main.cost >= limits.gpu_block_ratio else Severity.DEGRADES,
        confidence=Confidence.HIGH if is_sure else Confidence.MEDIUM,
        subjects=tuple(each.gpu.subject for each in held),
        hosts=(host,),
        summary=_summary(main, len(held)),
        facts=tuple(fact for each in held for fact in _facts(each, limits))[:MOST_FACTS],
        excluded=_excluded(held),
        next_action=f"on {host}: {NEXT[main.cause]}",
        retest=on_hosts("netprobe check", (host,)),
    )


def _excluded(held: Sequence[_Held]) -> tuple[str, ...]:
    is_known = all(each.window is not None and Hold.POWER_CAP not in each.window.holds for each in held)
    return ("its software power cap (no sample shows it)",) if is_known else ()


def _summary(main: _Held, count: int) -> str:
    what = "a GPU is" if count == 1 else f"{count} GPUs are"
    lost = "" if main.loss is None else f" and runs {percent(main.loss)} below {_whose(main)}"
    return f"{what} held down by a {main.cause} for {percent(main.share)} of {main.stage}{lost}"


def _whose(held: _Held) -> str:
    return "others of its kind" if held.peers else "its target"


def _facts(held: _Held, limits: Limits) -> Iterator[Fact]:
    pci, window = held.gpu.pci, held.window
    yield Fact(
        metric=f"{pci}, time under a {held.cause} in {held.stage}",
        observed=percent(held.share),
        expected=f"below {percent(limits.gpu_held_ratio)}",
        basis="limit; no healthy GPU is" if window is not None else "limit; the driver's count of the time",
    )
    if window is None:
        return
    if window.sm_clock_held_mhz is not None and held.expected_mhz:
        yield Fact(
            metric=f"{pci}, SM clock meanwhile",
            observed=f"{window.sm_clock_held_mhz:.0f} MHz",
            expected=f"{held.expected_mhz:.0f} MHz",
            basis=f"median of {held.peers} others of its kind" if held.peers else "its own target",
        )
    if window.celsius_most is not None:
        yield Fact(
            metric=f"{pci}, temperature at its highest",
            observed=f"{window.celsius_most} °C",
            expected="-" if window.slowdown_celsius is None else f"below {window.slowdown_celsius} °C",
            basis="where the hardware slows it down" if window.slowdown_celsius is not None else "for the record",
        )


def _memory_facts(gpu: HostGpu) -> Iterator[Fact]:
    grown = gpu.grown(GpuCount.ECC_UNCORRECTED)
    if grown:
        yield Fact(metric=f"{gpu.pci}, uncorrectable memory errors", observed=f"{grown:,}", expected="0",
                   basis="NVML, since the driver was loaded: what grew in this run")  # fmt: skip
    if any(each.remap_failed for each in gpu.windows):
        yield Fact(metric=f"{gpu.pci}, spare rows of memory", observed="used up", expected="left", basis="NVML")
    elif any(each.remap_pending for each in gpu.windows):
        yield Fact(metric=f"{gpu.pci}, rows of memory to be replaced", observed="pending", expected="none",
                   basis="NVML")  # fmt: skip


def _memory_finding(host: str, failing: Sequence[HostGpu]) -> Finding:
    facts = tuple(fact for each in failing for fact in _memory_facts(each))
    is_used_up = any(each.remap_failed for gpu in failing for each in gpu.windows)
    remedy = "replace the GPU: it has no spare rows left" if is_used_up else "drain the host and reset the GPU"
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=tuple(each.subject for each in failing),
        hosts=(host,),
        summary=f"the memory of {'a GPU' if len(failing) == 1 else f'{len(failing)} GPUs'} fails: "
        + listed(f"{fact.metric} {fact.observed}" for fact in facts),
        facts=facts[:MOST_FACTS],
        next_action=f"on {host}: {remedy} (nvidia-smi -q -d ECC,ROW_REMAPPER -i {shlex.quote(failing[0].pci)}); "
        "replace it where errors come back",
        retest=on_hosts("netprobe check", (host,)),
    )


def _lost(host: str, pci: str, window: GpuWindow) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.MEDIUM,
        subjects=(f"{host} {pci}",),
        hosts=(host,),
        summary=f"a GPU ceased to answer in {window.stage}: {window.silence}",
        facts=(
            Fact(metric=f"{pci}, answers in {window.stage}", observed=f"{window.samples:,}, then none",
                 expected="to the end", basis="NVML, asked every 0.2 s"),
        ),
        next_action=f"on {host}: dmesg for Xid messages (79: it fell off the bus); a cold start, its power, its seat",
        retest=on_hosts("netprobe check", (host,)),
    )  # fmt: skip


def _idle_gap(evidence: Evidence, gpus: Sequence[HostGpu]) -> Iterator[Gap]:
    """Yield which GPUs were used, and idle in all samples: whether they hold their clock under load is not known."""
    host_of = {rank.rank: rank.host for rank in evidence.ranks}
    used = {(host_of[each.rank], each.pci) for each in evidence.gpus}
    idle = [
        each.subject
        for each in gpus
        if (each.host, each.pci) in used and each.windows and not any(w.samples_busy for w in each.windows)
    ]
    if idle:
        yield Gap(
            topic=ID,
            reason=f"GPUs whose memory was measured were idle in all samples, as their driver sees it "
            f"({listed(idle)}): whether they hold their clock under load is not known",
            remedy="a longer run, or a compute test beside it",
        )


def _too_few_gap(gpus: Sequence[HostGpu]) -> Iterator[Gap]:
    few = [each.subject for each in gpus if 0 < sum(window.samples for window in each.windows) < FEWEST_HELD]
    if few:
        yield Gap(
            topic=ID,
            reason=f"GPUs were looked at fewer than {FEWEST_HELD} times ({listed(few)}): "
            "whether anything holds their clocks down is not known",
            remedy="a longer --budget",
        )


DETECTOR = Detector(
    id=ID,
    title="a GPU that heat or power holds down, that fails, or is lost",
    cause="""A fan, a heat sink, a coolant loop or the air of a row fails, and the GPU lowers its clock before it comes
    to harm; or a power supply asks the GPUs to brake. In a synchronised job all others wait for the slowest. Rows of
    memory with errors that cannot be corrected end a job, sooner or later.""",
    evidence="""The driver (NVML), asked every 0.2 s while stages run: the reasons why a clock is held down, clocks,
    temperatures. A hardware slowdown, a thermal slowdown and a power brake are faults from gpu_held_ratio of a stage
    or of all stages on, if three samples show them. A software power cap, clocks that were set, sync boost and idleness
    are none. It blocks where the clock lost over the stage is gpu_block_ratio or more, against the median of GPUs of
    the same kind that nothing holds down, three or more, else against its own target. What the driver counts of thermal
    time tells as well, with less confidence. One uncorrectable error in the run, a row of memory that waits to be
    replaced, or the lack of spare rows block, and so does a GPU that ceases to answer. One that never did is a gap, and
    so is a run with fewer than three samples. Copies within a GPU that nothing holds down degrade below copy_ratio of
    half of what its kind's memory does, where that is published; a GPU of another kind is not judged by them.""",
    remedy="""`nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER` on the host and on a healthy one; `dmesg` for Xid
    messages. Cooling and power first, then the GPU. For memory drain the host, reset the GPU, and replace it where
    errors come back.""",
    limits=("copy_ratio", "gpu_held_ratio", "gpu_block_ratio"),
    detect=detect,
)
