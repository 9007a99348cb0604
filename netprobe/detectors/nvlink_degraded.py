"""GPUs with fewer NVLinks than others of their kind, or whose NVLinks have errors.

Does not handle: NVSwitches, which NVML of a host does not tell of; links that run at a lower speed.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence

from netprobe.contracts import Detector
from netprobe.detectors._fleet import Usual, undecided, usual
from netprobe.detectors._gpu_copies import SlowCopy, slow_copies
from netprobe.detectors._gpus import HostGpu, by_host, host_gpus, unread_gaps
from netprobe.detectors._words import MOST_FACTS, on_hosts, percent
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.gpu import CopyWay, GpuCount
from netprobe.model.limits import Limits
from netprobe.units import format_gbps, format_size

ID = "nvlink-degraded"
RETRIES = (GpuCount.NVLINK_REPLAY, GpuCount.NVLINK_RECOVERY)
COMPARE = "compare nvidia-smi nvlink -s there and on a healthy host; then the log of the fabric manager and dmesg (Xid)"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name GPUs with inactive links, and GPUs with errors on their links; one finding for each host and kind."""
    gpus = host_gpus(evidence)
    kinds: dict[str | None, list[HostGpu]] = {}
    all_lacking: list[HostGpu] = []
    for each in gpus:
        if _active(each) is not None:
            kinds.setdefault(each.name, []).append(each)
    for alike in kinds.values():
        most = usual(active for each in alike if (active := _active(each)) is not None)
        if most is None:
            shown = [(each.host, each.subject, f"{_active(each)}") for each in alike]
            yield from undecided(ID, "number of active NVLinks", shown, Severity.WARNS, COMPARE)
            continue
        lacking = [each for each in alike if (_active(each) or 0) < most.value]
        all_lacking += lacking
        for host, own in by_host(lacking).items():
            yield _lacking(host, own, most, limits)
    for host, own in by_host(each for each in gpus if any(_error_facts(each, limits))).items():
        yield _erring(host, own, limits)
    yield from _slow_ones([each for each in gpus if each not in all_lacking], evidence, limits)
    yield from _none_active(kinds)
    yield from unread_gaps(ID, evidence)


def _none_active(kinds: Mapping[str | None, Sequence[HostGpu]]) -> Iterator[Gap]:
    """Yield of which kinds no link is active: cards without bridges, or a fabric manager that is down everywhere."""
    for name, alike in kinds.items():
        if not any(_active(each) for each in alike):
            yield Gap(
                topic=ID,
                reason=f"no GPU of the kind {name or 'that has no name'} has an active NVLink, "
                f"{len(alike)} of {len(alike)} looked at: whether they are to have any is not known",
                remedy="systemctl status nvidia-fabricmanager, where they sit on one baseboard",
            )


def _active(gpu: HostGpu) -> int | None:
    """Return the fewest links that were active at the start or end of any stage; None where none is known."""
    return min((each.links_active_least for each in gpu.windows if each.links_active_least is not None), default=None)


def _lacking(host: str, gpus: Sequence[HostGpu], most: Usual[int], limits: Limits) -> Finding:
    missing = max(most.value - (_active(each) or 0) for each in gpus)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if missing >= limits.nvlink_block_ratio * most.value else Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=tuple(each.subject for each in gpus),
        hosts=(host,),
        summary=f"{_gpus(len(gpus))} up to {missing} NVLinks fewer than the {most.value} of {most.count} alike",
        facts=tuple(
            Fact(metric=f"{each.pci}, active NVLinks", observed=f"{_active(each)}", expected=f"{most.value}",
                 basis=f"{most.count} GPUs of its kind")
            for each in gpus
        )[:MOST_FACTS],
        next_action=f"on {host}: nvidia-smi nvlink -s -i {shlex.quote(gpus[0].pci)} names the links; reset the GPUs of "
        "the host, then reseat the GPU or its baseboard",
        retest=on_hosts("netprobe check", (host,)),
    )  # fmt: skip


def _error_facts(gpu: HostGpu, limits: Limits) -> Iterator[Fact]:
    for count in RETRIES:
        grown = gpu.grown(count)
        if grown is not None and grown >= limits.nvlink_retry_floor:
            yield Fact(metric=f"{gpu.pci}, {count} over all its links", observed=f"{grown:,}",
                       expected=f"below {limits.nvlink_retry_floor:g}", basis="NVML, growth in this run")  # fmt: skip
    per_s = gpu.fastest_per_s(GpuCount.NVLINK_CRC)
    if per_s is not None and per_s >= limits.nvlink_crc_per_s:
        yield Fact(metric=f"{gpu.pci}, {GpuCount.NVLINK_CRC} over all its links", observed=f"{per_s:,.0f} a second",
                   expected=f"below {limits.nvlink_crc_per_s:g} a second",
                   basis="NVML, the stage with most of them")  # fmt: skip


def _erring(host: str, gpus: Sequence[HostGpu], limits: Limits) -> Finding:
    facts = tuple(fact for each in gpus for fact in _error_facts(each, limits))
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=tuple(each.subject for each in gpus),
        hosts=(host,),
        summary=f"{_gpus(len(gpus))} errors on NVLinks under load: {facts[0].metric} {facts[0].observed}",
        facts=facts[:MOST_FACTS],
        excluded=("the network (NVLinks do not leave the host's baseboard or rack)",),
        next_action=f"on {host}: nvidia-smi nvlink -e -i {shlex.quote(gpus[0].pci)} names the links; a GPU whose "
        "errors come back is to be reseated or replaced, and so is what is at the other end of its link",
        retest=on_hosts("netprobe check", (host,)),
    )


def _slow_ones(gpus: Sequence[HostGpu], evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Yield GPUs that copy slowly to the next one, though their links are all there and without errors."""
    for gpu in gpus:
        slow = slow_copies(gpu, (CopyWay.TO_PEER,), evidence, limits)
        if slow and not any(_error_facts(gpu, limits)):
            yield _slow(gpu, slow[0], limits)


def _slow(gpu: HostGpu, copy: SlowCopy, limits: Limits) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.MEDIUM,
        subjects=(gpu.subject,),
        hosts=(gpu.host,),
        summary=f"copies to another GPU reach {percent(copy.ratio)} of what its NVLinks carry: "
        f"{format_gbps(copy.rate.gbps)} of {format_gbps(copy.expected_gbps)}",
        facts=(
            Fact(
                metric=f"copies of {format_size(copy.rate.size_bytes)} to the next GPU, {gpu.pci}",
                observed=format_gbps(copy.rate.gbps),
                expected=f"at least {format_gbps(limits.copy_ratio * copy.expected_gbps)}",
                basis=f"{percent(limits.copy_ratio)} of active links * their generation's rate; links as NVML tells",
            ),
        ),
        next_action=f"on {gpu.host}: nvidia-smi topo -m must show NV between the two, and nvidia-smi nvlink -s -i "
        f"{shlex.quote(gpu.pci)} the links at their speed; a job on the GPUs slows copies as well",
        retest=on_hosts("netprobe check", (gpu.host,)),
    )


def _gpus(count: int) -> str:
    return "a GPU has" if count == 1 else f"{count} GPUs have"


DETECTOR = Detector(
    id=ID,
    title="a GPU with fewer NVLinks than others, or with errors on them",
    cause="""A link between GPUs, or from a GPU to its switch, did not train, or fell out: a bad contact, a bridge or
    cable that is loose, a fabric manager that has given up a port. What is left carries less, and libraries may fall
    back to the bus. A link with errors sends again, and one that recovers stands still meanwhile.""",
    evidence="""The driver (NVML): active links of each GPU at the start and the end of every stage, against those of
    most GPUs of its kind, three or more, on its host and on others; links that no GPU of a kind has are how they are
    built. It blocks where nvlink_block_ratio of the links are missing, and degrades otherwise. Growth over all links of
    a GPU: replays and recoveries from nvlink_retry_floor on, wrong check sums from nvlink_crc_per_s on in any stage.
    Copies to another GPU below copy_ratio of what the active links carry, where all of them end at switches and neither
    their number nor their errors tell already; links to single GPUs are not held against anything.
    GPUs of which the driver tells nothing are a gap, and so are links of which no GPU of a kind has an active one; GPUs
    without links are not judged.""",
    remedy="""`nvidia-smi nvlink -s` and `-e` name the links; `nvidia-smi topo -m` shows who is at the other end. Reset
    the GPUs, look at the fabric manager's log, reseat, replace.""",
    limits=("copy_ratio", "nvlink_block_ratio", "nvlink_crc_per_s", "nvlink_retry_floor"),
    detect=detect,
)
