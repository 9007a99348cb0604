"""A library that keeps too little of what the layer below it carries, between the same hosts and on the same memory.

Does not handle: latency; what MPI and NCCL add to it is no fault.
"""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._comparable import BoolArray, is_as_expected, is_crowded, is_hardware, is_software, of_both
from netprobe.detectors._line_rates import FEWEST_BYTES
from netprobe.detectors._wiring import wired_placement
from netprobe.detectors._words import MOST_FACTS, is_common, listed, percent, size_title
from netprobe.locate.culprits import HostPair, blame_most_of_its_pairs
from netprobe.locate.layers import HOST, Comparison, Layer, LayerTable, layer_tables
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence, FloatArray
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Path, memory_title
from netprobe.units import format_gbps

ID: Final = "layer-gap"
MOST_CULPRITS_RATIO: Final = 1 / 3  # with more hosts to blame, it is how all of them are set up
SURE_WITH_PAIRS: Final = 3
FABRIC: Final = "fabric"
FEWEST_OF_NCCL_BYTES: Final = 8 << 20
"""It starts a kernel for each message, which costs 10 µs and more: 168 µs is what this takes at 400 Gb/s."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """A layer against the one below it, on the pairs that may be judged."""

    table: LayerTable
    against: Comparison
    judged: BoolArray
    is_low: BoolArray

    @property
    def upper(self) -> Layer:
        """The layer that loses, if any does."""
        return self.against.upper

    @property
    def lower(self) -> Layer:
        """What it builds upon."""
        return self.against.lower

    def ratio(self, of: BoolArray) -> float:
        """Return what it keeps with some of the pairs."""
        return float(np.median(self.against.ratio[of]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Culprit:
    """Whom a layer's loss is put down to, and with whom it was seen."""

    subject: str
    hosts: tuple[str, ...] = ()
    partners: tuple[str, ...] = field(default=(), compare=False)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name the layers that lose bandwidth, and whether all hosts share that."""
    placement = wired_placement(evidence)
    found: dict[tuple[Path, _Culprit], list[tuple[_Case, BoolArray]]] = {}
    for table in layer_tables(evidence.pairs):
        if table.is_latency:
            continue
        yield from _apart(table, limits)
        yield from _without_verbs(evidence, table)
        for case in _cases(evidence, table, limits):
            for culprit, rows in _blamed(case, placement):
                found.setdefault((case.upper.path, culprit), []).append((case, rows))
        yield from _unjudged(evidence, table, placement, limits)
    of_ways = {key: cases for key, cases in found.items() if _may_be_way(key[1], cases, placement)}
    if of_ways:
        yield _of_ways(of_ways)
    for (path, culprit), cases in found.items():
        if (path, culprit) not in of_ways:
            yield _answer(path, culprit, cases, placement, limits)


def _answer(
    path: Path, culprit: _Culprit, cases: Sequence[tuple[_Case, BoolArray]], placement: Placement, limits: Limits
) -> Finding | Gap:
    if path is Path.MPI and culprit.subject == FABRIC:
        return _of_own_mpi(cases, placement)
    return _finding(path, culprit, cases, placement, limits)


def _may_be_way(culprit: _Culprit, cases: Sequence[tuple[_Case, BoolArray]], placement: Placement) -> bool:
    """Return whether the flows of a pair behind two leaves may take other uplinks than those of the layer below do."""
    if culprit.hosts or culprit.subject == FABRIC or not placement.leaves or placement.are_leaves_inferred:
        return False
    leaf = placement.leaf_of
    ends = [(case.table.src[rows], case.table.dst[rows]) for case, rows in cases]
    is_judged_alone = any(int(case.judged.sum()) == int(rows.sum()) for case, rows in cases)
    return not is_judged_alone and all(((leaf[src] != leaf[dst]) & (leaf[src] >= 0)).all() for src, dst in ends)


def _of_ways(of_ways: Mapping[tuple[Path, _Culprit], Sequence[tuple[_Case, BoolArray]]]) -> Gap:
    """Tell of pairs whose two hosts lose nothing with others: a flow that shares its uplink looks the same."""
    worst = min((each for cases in of_ways.values() for each in cases), key=lambda each: each[0].ratio(each[1]))
    names = dict.fromkeys(culprit.subject for _, culprit in of_ways)
    return Gap(
        topic=ID,
        reason=f"{_summary(*worst, '')}, on {listed(names)} alone, behind different leaves: whether the library loses "
        "it, or its flow shares an uplink with another one, cannot be told; slow-pair tells of slow paths",
        remedy="the pair alone, several times: netprobe run bandwidth --hosts",
    )


def _compared(table: LayerTable) -> Iterator[Comparison]:
    """Yield each layer against the one below it, where both carried messages that tell of bandwidth."""
    for layer in table.layers:
        against = table.against_below(layer)
        if against is not None and _is_large(against):
            yield against


def _is_large(against: Comparison) -> bool:
    least = FEWEST_OF_NCCL_BYTES if against.upper.path is Path.NCCL else FEWEST_BYTES
    return min(against.upper.size_bytes, against.lower.size_bytes) >= least


def _cases(evidence: Evidence, table: LayerTable, limits: Limits) -> Iterator[_Case]:
    quiet = of_both(table, ~is_crowded(evidence))
    hardware, no_software = of_both(table, is_hardware(evidence)), of_both(table, ~is_software(evidence))
    for against in _compared(table):
        able = quiet & no_software & (hardware if against.lower.path is Path.VERBS else True)
        judged = able & np.isfinite(against.ratio) & is_as_expected(evidence, table, against.lower, limits)
        if judged.any():
            is_low = judged & (against.ratio < limits.layer_ratio)
            yield _Case(table=table, against=against, judged=judged, is_low=is_low)


def _blamed(case: _Case, placement: Placement) -> Iterator[tuple[_Culprit, BoolArray]]:
    """Yield who explains the pairs on which a layer loses, and which of these they are."""
    bad, measured = (
        {_hosts(placement, *ends) for ends in _ends(case.table, rows)} for rows in (case.is_low, case.judged)
    )
    if not bad:
        return
    blame = None if _is_everywhere(bad, measured) else blame_most_of_its_pairs(bad, measured)
    if (
        blame is None
        or len(blame.hosts) > MOST_CULPRITS_RATIO * len(placement.hosts)
        or is_common(len(blame.pairs), len(measured))
    ):
        yield _Culprit(subject=FABRIC), case.is_low
        return
    src, dst = placement.host_of[case.table.src], placement.host_of[case.table.dst]
    number = {host: index for index, host in enumerate(placement.hosts)}
    for host, partners in blame.hosts.items():
        own = case.is_low & ((src == number[host]) | (dst == number[host]))
        yield _Culprit(subject=host, hosts=(host,), partners=partners), own
    for pair in blame.pairs:
        both = [number[host] for host in pair]
        own = case.is_low & np.isin(src, both) & np.isin(dst, both)
        yield _Culprit(subject=" <-> ".join(pair), partners=pair), own


def _is_everywhere(bad: Set[HostPair], measured: Set[HostPair]) -> bool:
    """Return whether all pairs are bad, or more than a third of all hosts could be to blame for."""
    met = Counter(host for pair in measured for host in pair)
    most = MOST_CULPRITS_RATIO * len(met) * max(met.values())
    return len(measured) > 1 and (len(bad) > most or len(bad) == len(measured))


def _finding(
    path: Path, culprit: _Culprit, cases: Sequence[tuple[_Case, BoolArray]], placement: Placement, limits: Limits
) -> Finding:
    is_shared = culprit.subject == FABRIC
    case, rows = min(cases, key=lambda each: each[0].ratio(each[1]))
    pairs = {_hosts(placement, *ends) for ends in _ends(case.table, rows)}
    measured = {_hosts(placement, *ends) for ends in _ends(case.table, case.judged)}
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if len(pairs) >= SURE_WITH_PAIRS else Confidence.MEDIUM,
        subjects=(culprit.subject,),
        hosts=culprit.hosts,
        summary=_summary(case, rows, f"{len(pairs)} of {len(measured)} pairs of hosts" if is_shared else ""),
        facts=tuple(_fact(each, own, limits) for each, own in cases)[:MOST_FACTS],
        excluded=tuple(_excluded(case, rows, culprit)),
        next_action=_next_action(path, culprit, [each for each, _ in cases]),
        retest=_retest(culprit),
    )


def _of_own_mpi(cases: Sequence[tuple[_Case, BoolArray]], placement: Placement) -> Gap:
    """Tell of MPI that is slow on all hosts: it is the one netprobe was started with, and a job may bring another."""
    case, rows = min(cases, key=lambda each: each[0].ratio(each[1]))
    pairs = {_hosts(placement, *ends) for ends in _ends(case.table, rows)}
    measured = {_hosts(placement, *ends) for ends in _ends(case.table, case.judged)}
    shared_by = f"{len(pairs)} of {len(measured)} pairs of hosts"
    return Gap(
        topic=ID,
        reason=f"{_summary(case, rows, shared_by)}; nobody is blamed, since a job may bring another MPI",
        remedy=_next_action(Path.MPI, _Culprit(subject=FABRIC), [each for each, _ in cases]),
    )


def _summary(case: _Case, rows: BoolArray, shared_by: str) -> str:
    upper, lower = case.upper, case.lower
    seen, below = _typical(upper.speed, rows), _typical(lower.speed, rows)
    by = f", on {shared_by}" if shared_by else ""
    return (
        f"{upper.path.layer} keeps {percent(case.ratio(rows))} of the rate of {lower.path.layer} on the same pairs: "
        f"{seen} of {below} ({memory_title(*upper.memories)}, {_sizes(upper, lower)}){by}"
    )


def _fact(case: _Case, rows: BoolArray, limits: Limits) -> Fact:
    upper, lower = case.upper, case.lower
    least = limits.layer_ratio * float(np.median(lower.speed[rows]))
    return Fact(
        metric=f"{upper.path.layer} bandwidth {size_title(upper.size_bytes)}, {memory_title(*upper.memories)}",
        observed=f"{_typical(upper.speed, rows)} ({percent(case.ratio(rows))})",
        expected=f"at least {format_gbps(least)}",
        basis=f"{percent(limits.layer_ratio)} of {lower.path.layer}, {size_title(lower.size_bytes)}; median of "
        f"{int(rows.sum())} pairs of ranks",
    )


def _excluded(case: _Case, rows: BoolArray, culprit: _Culprit) -> Iterator[str]:
    lower = case.lower
    yield f"links and NICs ({_typical(lower.speed, rows)} over {lower.path.layer} on these pairs, in the same memory)"
    others = case.judged & ~case.is_low
    if culprit.subject != FABRIC and others.any():
        yield f"what all hosts share ({case.upper.path.layer} keeps {percent(case.ratio(others))} on other pairs)"


def _next_action(path: Path, culprit: _Culprit, cases: Sequence[_Case]) -> str:
    on_gpu = any(case.upper.memories != HOST for case in cases)
    if path is Path.NCCL:
        what = (
            "NCCL_DEBUG=INFO tells what it took: NET/IB or NET/Socket, GDRDMA or not, which devices; then NCCL_IB_HCA, "
            "NCCL_IB_QPS_PER_CONNECTION (one queue pair does not fill every NIC) and NCCL_NET_GDR_LEVEL"
        )
    else:
        build = "whether it was built for CUDA (ucx_info -d names cuda_copy and gdr_copy); " if on_gpu else ""
        what = (
            f"{build}UCX_LOG_LEVEL=info or FI_LOG_LEVEL=info tells what it took: tcp instead of rc or verbs, or "
            "another device; then UCX_TLS, UCX_NET_DEVICES, FI_PROVIDER"
        )
    if culprit.subject == FABRIC:
        return f"a setting or a build that all hosts share: {what}"
    return f"compare the library, its settings and its devices with those of a host that is well: {what}"


def _retest(culprit: _Culprit) -> str:
    if culprit.subject == FABRIC:
        return "netprobe check"
    hosts = dict.fromkeys((*culprit.hosts, *culprit.partners[:2]))
    return f"netprobe check --hosts {shlex.quote(','.join(hosts))}"


def _apart(table: LayerTable, limits: Limits) -> Iterator[Gap]:
    """Yield the layers that were measured with other pairs than what is below them, or at sizes that do not tell."""
    for layer in table.layers:
        below = table.below(layer)
        if below and table.against_below(layer) is None:
            names = " and ".join(each.path.layer for each in below)
            yield Gap(
                topic=ID,
                reason=f"{layer.path.layer} and {names} were measured with different pairs "
                f"({memory_title(*layer.memories)}): what it keeps of them is not known",
                remedy="netprobe check --all-pairs",
            )
        elif (small := table.against_below(layer)) is not None and not _is_large(small):
            yield from _too_small(small, limits)
    for path, *memories in table.left_out:
        send, receive = memories
        yield Gap(
            topic=ID,
            reason=f"{path.layer} was measured at other sizes than the layers beside it "
            f"({memory_title(send, receive)}; they: {size_title(table.size_bytes)})",
            remedy="netprobe check, or the same -b and -e for all",
        )


def _too_small(against: Comparison, limits: Limits) -> Iterator[Gap]:
    if against.typical_ratio < limits.layer_ratio:
        upper, lower = against.upper, against.lower
        yield Gap(
            topic=ID,
            reason=f"{upper.path.layer} keeps {percent(against.typical_ratio)} of the rate of {lower.path.layer} "
            f"({memory_title(*upper.memories)}, {_sizes(upper, lower)}): such messages tell what each of them costs "
            "rather than of bandwidth",
            remedy="netprobe check --profile pretrain, or -e 8M",
        )


def _without_verbs(evidence: Evidence, table: LayerTable) -> Iterator[Gap]:
    """Yield the layers on memory on which verbs were not measured, where there are NICs that they could go over."""
    has_verbs = any(each.path is Path.VERBS for each in table.layers) and is_hardware(evidence).any()
    for layer in table.layers:
        if has_verbs and layer.path is not Path.VERBS and not table.below(layer):
            yield Gap(
                topic=ID,
                reason=f"{layer.path.layer} was measured with {memory_title(*layer.memories)}, and verbs were not: "
                "what it keeps of their rate is not known",
                remedy="netprobe check, which measures both",
            )


def _unjudged(evidence: Evidence, table: LayerTable, placement: Placement, limits: Limits) -> Iterator[Gap]:
    """Yield why pairs on which a layer loses are not judged."""
    none = np.zeros(len(table.src), dtype=bool)
    low = [(each.lower.path, each.ratio < limits.layer_ratio) for each in _compared(table)]
    crowded = np.any([none, *(rows for _, rows in low)], axis=0) & ~of_both(table, ~is_crowded(evidence))
    if crowded.any():
        busy = sorted(set(evidence.crowded_hosts))
        yield Gap(
            topic=ID,
            reason=f"ranks of {listed(busy)} wait for a CPU, which costs MPI more than the NIC: their layers are not "
            "compared",
            remedy="fewer ranks per host, or more CPUs for them",
        )
    told = of_both(table, is_hardware(evidence)) | ~of_both(table, ~is_software(evidence)) | crowded
    unknown = np.any([none, *(rows for path, rows in low if path is Path.VERBS)], axis=0) & ~told
    if unknown.any():
        hosts = {placement.host(end) for ends in _ends(table, unknown) for end in ends}
        known = is_hardware(evidence)
        own = sorted(host for host in hosts if not known[list(placement.ranks_on(host))].any())
        yield Gap(
            topic=ID,
            reason=f"whether the RDMA ports of {listed(own)} are hardware is not known: over software, MPI may be the "
            "faster one",
            remedy="netprobe inventory on them",
        )


def _hosts(placement: Placement, src: int, dst: int) -> HostPair:
    ends = sorted((placement.host(src), placement.host(dst)))
    return ends[0], ends[1]


def _ends(table: LayerTable, rows: BoolArray) -> list[tuple[int, int]]:
    return list(zip(table.src[rows].tolist(), table.dst[rows].tolist(), strict=True))


def _typical(speed: FloatArray, rows: BoolArray) -> str:
    return format_gbps(float(np.median(speed[rows])))


def _sizes(upper: Layer, lower: Layer) -> str:
    own, other = size_title(upper.size_bytes), size_title(lower.size_bytes)
    return own if own == other else f"{own} against {other}"


DETECTOR = Detector(
    id=ID,
    title="a library that keeps too little of what the layer below it carries",
    cause="""MPI or NCCL does not use what the NICs can do: TCP sockets instead of RDMA, one queue pair or one NIC of
    several, a wrong list of devices, staging of GPU memory through the host (MPI that was not built for CUDA, GPUDirect
    that NCCL does not use for GPUs so far from the NIC). On all hosts alike it is a setting, an image or a module that
    they share; on some, those have another.""",
    evidence="""Bandwidth one way between the same ranks, from and into the same memory, at the largest size that the
    layers have in common (1 MiB at least, and 8 MiB of NCCL; sizes of at most a factor of 8 apart where they have
    none): MPI against verbs, NCCL against the faster of verbs and MPI. A pair counts that keeps less than layer_ratio.
    A host is named when more than half of its partners see it, two at least; all pairs, a third of all hosts or a tenth
    of all pairs without a host that explains them are the fabric's. For MPI that is a gap: jobs may bring another.

    Not judged: software RDMA, or ports that nobody knows to be hardware; hosts whose ranks wait for CPUs; pairs on
    which the layer below is itself less than expected (expected_bandwidth_gbps, or line_rate_ratio of the ports). A
    site that does not mind sets layer_ratio to 0.""",
    remedy="""MPI: `UCX_LOG_LEVEL=info` or `FI_LOG_LEVEL=info` show the transport and the device; set UCX_TLS and
    UCX_NET_DEVICES or FI_PROVIDER, and take a build for CUDA where GPU memory is sent. NCCL: `NCCL_DEBUG=INFO`; set
    NCCL_IB_HCA, NCCL_IB_QPS_PER_CONNECTION (2 or 4) and NCCL_NET_GDR_LEVEL, and see that its IB plugin is found in the
    container (libibverbs, /dev/infiniband).""",
    limits=("layer_ratio", "line_rate_ratio", "expected_bandwidth_gbps", "pair_loss_ratio"),
    detect=detect,
)
