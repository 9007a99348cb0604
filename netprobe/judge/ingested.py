"""Judge what was put together from other tools' outputs: counters between readings, settings, and benchmarks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from netprobe.catalogue.counter import Weight
from netprobe.catalogue.growth import is_saturated
from netprobe.detectors._fleet import HostPort, alike
from netprobe.detectors._roce_rules import is_judgeable, lacks_of, tells_pfc
from netprobe.detectors._words import listed
from netprobe.judge.benchmarks import Note, judged
from netprobe.judge.candidates import unjudged_pauses, with_candidates
from netprobe.judge.full_counters import full_gaps
from netprobe.judge.growths import ID as COUNTERS
from netprobe.judge.growths import TROUBLE, grown, known_counter, port_name, told_by
from netprobe.judge.judge import settled
from netprobe.judge.order import merged, worst_first
from netprobe.judge.partners import HostCounts, with_partners
from netprobe.judge.remarks import all_active, remarks
from netprobe.judge.subnet import is_comparable, subnet_answers
from netprobe.judge.switches import switch_notes
from netprobe.model.benchmark import Benchmark
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.inventory import HostInventory
from netprobe.model.limits import Limits
from netprobe.model.snapshot import Reading
from netprobe.model.subnet import SubnetLink
from netprobe.model.switches import SwitchPortCounts
from netprobe.model.verdict import ExitCode
from netprobe.registry import detectors
from netprobe.store.reader import Run

OF_MEASUREMENTS: Final = frozenset(
    {
        "asymmetry",
        "corruption",
        "coverage",
        "expectation",
        "jitter",
        "slow-hop",
        "slow-host",
        "slow-link",
        "slow-pair",
        "straggler",
    }
)
"""Detectors that have nothing to say where netprobe measured nothing."""
SAID_HERE: Final = frozenset({COUNTERS})
"""Detectors whose answers judge.growths gives with more: of all counters of trouble, whatever their names."""
OF_NCCL: Final = "nccl-fallback"
"""The detector of NCCL's log, which needs nothing else."""
NOTABLE: Final = (*TROUBLE, Weight.NOTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A counter worth a note that is not 0: what happened since the machine was started, or its counters were reset."""

    host: str
    port: str
    counter: str
    title: str
    value: int
    unit: str
    """Of the value: packets, bytes, ns, …"""
    is_at_least: bool
    """It stands at the largest value that it can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What other tools' outputs say, what is wrong in it, and what they cannot tell."""

    files: tuple[str, ...]
    """A line each: what was read, and what was not understood."""
    hosts: tuple[str, ...]
    windows: int
    """Pairs of readings of a host."""
    settings: int
    """Hosts whose settings were told."""
    findings: tuple[Finding, ...]
    """Worst first."""
    gaps: tuple[Gap, ...]
    notes: tuple[Note, ...]
    history: tuple[Total, ...]
    """Never a finding: it may be long ago."""
    benchmarks: tuple[Benchmark, ...]
    switches: tuple[str, ...]
    """Those of which two snapshots tell what grew."""
    nccl_hosts: tuple[str, ...]
    """Those whose NCCL told in its log which way it took."""
    links: int
    """Of an InfiniBand subnet."""
    is_judged: bool
    """Whether anything at all could be judged."""

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        if any(finding.severity is Severity.BLOCKS for finding in self.findings):
            return ExitCode.FAULTY
        if self.findings:
            return ExitCode.DEGRADED
        undermined = any(gap.undermines for gap in self.gaps)
        return ExitCode.INCONCLUSIVE if undermined or not self.is_judged else ExitCode.HEALTHY


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What there is to judge."""

    run: Run
    readings: Mapping[str, tuple[Reading, ...]]
    """By host."""
    benchmarks: tuple[Benchmark, ...]
    files: tuple[str, ...]
    assumed: frozenset[str] = frozenset()
    """Hosts whose readings were only taken to be of one host."""
    switches: tuple[SwitchPortCounts, ...] = ()
    """Growth between two snapshots of a switch."""
    subnet: tuple[SubnetLink, ...] = ()
    """Links of an InfiniBand subnet."""
    moments_ns: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Wall-clock time of each reading by host; empty where it is not told."""


def judge_ingested(material: Material, limits: Limits) -> Ingested:
    """Return what can be said; what detectors of measurements would miss is not asked of them."""
    from netprobe.judge.evidence import evidence_of  # loads polars

    run = material.run
    evidence = evidence_of(run)
    windows = sum(max(len(each) - 1, 0) for each in material.readings.values())
    settings = sum(map(_has_settings, run.inventories))
    unjudged = _unjudged(run.inventories)
    answers = list(_detected(evidence, limits, windows, settings))
    told = told_by((each for each in answers if isinstance(each, Finding)), evidence.inventories)
    for inventory in run.inventories:
        readings = material.readings.get(inventory.host, ())
        answers += grown(inventory, readings, told)
        answers += _lifetime(inventory.host, readings)
        answers += full_gaps(inventory.host, readings)
        answers += remarks(inventory, readings)
    answers = [_capped(each, material.assumed, evidence) if isinstance(each, Finding) else each for each in answers]
    answers += switch_notes(material.switches, run.inventories)
    answers += subnet_answers(material.subnet)
    answers += _settings_gaps(unjudged)
    answers += _uncounted(run.inventories, material.readings)
    answers += (answer for benchmark in material.benchmarks for answer in judged(benchmark, limits))
    gaps = [*evidence.gaps, *(each for each in answers if isinstance(each, Gap))]
    findings = [each for each in answers if isinstance(each, Finding)]
    return Ingested(
        files=material.files,
        hosts=tuple(each.host for each in run.inventories),
        windows=windows,
        settings=settings,
        findings=_with_partners(_settled(findings, evidence), material),
        gaps=tuple(merged(gaps)),
        notes=tuple(each for each in answers if isinstance(each, Note)),
        history=tuple(
            total for each in run.inventories for total in _totals(each, material.readings.get(each.host, ()))
        ),
        benchmarks=material.benchmarks,
        switches=tuple(dict.fromkeys(each.switch for each in material.switches)),
        nccl_hosts=tuple(dict.fromkeys(each.host for each in evidence.nccl)),
        links=len(material.subnet),
        is_judged=bool(
            windows
            or is_comparable(material.subnet)
            or any(each.network_ways for each in evidence.nccl)
            or settings > len(unjudged)
            or any(_is_judged(each, limits) for each in material.benchmarks)
            or (run.inventories and all(map(all_active, run.inventories)) and not any(material.readings.values()))
        ),
    )


def _detected(evidence: Evidence, limits: Limits, windows: int, settings: int) -> Iterator[Finding | Gap | Note]:
    """Yield what detectors say; audits of settings are told of no port that is only taken for one."""
    counted = replace(evidence, ports=with_candidates(evidence.ports, evidence.inventories))
    for detector in detectors().values():
        has_matter = windows or (settings and detector.audits) or (evidence.nccl and detector.id == OF_NCCL)
        if detector.id not in OF_MEASUREMENTS | SAID_HERE and has_matter:
            yield from detector.detect(evidence if detector.audits else counted, limits)
    yield from unjudged_pauses(counted.ports, evidence.inventories)


def _settled(findings: Sequence[Finding], evidence: Evidence) -> tuple[Finding, ...]:
    """Return findings, worst first; no cause explains counters, of which only those are left that nobody told."""
    counters = [each for each in findings if each.detector == COUNTERS]
    others = settled((each for each in findings if each.detector != COUNTERS), evidence)
    return tuple(sorted((*others, *counters), key=worst_first))


def _with_partners(findings: Sequence[Finding], material: Material) -> tuple[Finding, ...]:
    """Return findings, losses that damage elsewhere probably explains with that."""
    hosts = (
        HostCounts(
            inventory=each,
            readings=material.readings.get(each.host, ()),
            moments_ns=material.moments_ns.get(each.host, ()),
            is_assumed=each.host in material.assumed,
        )
        for each in material.run.inventories
    )
    return with_partners(findings, hosts)


def _capped(finding: Finding, assumed: frozenset[str], evidence: Evidence) -> Finding:
    """Return a finding that claims little where it rests on readings that were only taken to be of one host."""
    named = {end.partition(" ")[0] for each in finding.subjects for end in each.split(" -> ")}
    is_sure = not assumed & named and bool(named & evidence.inventories.keys())
    if not assumed or is_sure:
        return finding
    severity = Severity.DEGRADES if finding.severity is Severity.BLOCKS else finding.severity
    return replace(finding, severity=severity, confidence=Confidence.LOW, hosts=())


def _has_settings(inventory: HostInventory) -> bool:
    """Return whether more is told of a host than the names of its ports."""
    told = any(each.qos or each.ecn or each.mtu_bytes for each in inventory.net_devices)
    return bool(told or inventory.pci_devices or inventory.system)


def _unjudged(inventories: Sequence[HostInventory]) -> list[HostInventory]:
    """Return the hosts to whose settings no rule can be applied, neither by themselves nor against others."""
    told = [each for each in inventories if _has_settings(each)]
    compared = [each for each in told if each.rdma_ports]
    return [each for each in told if each not in compared or (len(compared) == 1 and not _has_rules(each))]


def _has_rules(inventory: HostInventory) -> bool:
    return bool(inventory.pci_devices or inventory.system) or any(map(is_judgeable, _ports(inventory)))


def _ports(inventory: HostInventory) -> list[HostPort]:
    return [HostPort(inventory=inventory, port=port) for port in inventory.rdma_ports if port.may_be_active]


def _settings_gaps(hosts: Sequence[HostInventory]) -> Iterator[Gap]:
    """Yield what keeps rules from being applied to the settings of hosts, unless detectors have said so themselves."""
    missing = [(each.host, what) for each in hosts if (what := _missing(each)) is not None]
    for what, pairs in alike(missing, lambda each: each[1]).items():
        yield Gap(
            topic="settings",
            reason=f"{', '.join(host for host, _ in pairs)}: settings were read, and none that a rule could be applied "
            f"to: {what} missing",
            remedy="netprobe snapshot there tells all of them",
        )


def _missing(inventory: HostInventory) -> str | None:
    """Return what rules would have to know first; None where a detector names what they lack."""
    ports = _ports(inventory)
    if any(lacks_of(port) for port in ports):
        return None
    if not ports:
        return "the RDMA device is"
    if not any(tells_pfc(port) for port in ports):
        return "flow control (PFC) of the RDMA device's interface is"
    return "the traffic class of RDMA, or congestion control (ECN), is"


def _is_judged(benchmark: Benchmark, limits: Limits) -> bool:
    """Return whether a table's data was compared, or its rate with what is expected."""
    has_expectation = limits.expected_bandwidth_gbps > 0 and not benchmark.is_loopback
    is_compared = benchmark.out_of_bounds or any(row.wrong is not None for row in benchmark.rows)
    return bool(is_compared or (has_expectation and (benchmark.is_one_way or benchmark.is_two_way)))


def _lifetime(host: str, readings: Sequence[Reading]) -> Iterator[Gap]:
    if len(readings) == 1:
        yield Gap(
            topic="counters",
            reason=f"{host}: lifetime totals; two readings tell what happens now",
            remedy="the same again after the test, and both files here",
        )


def _uncounted(inventories: Sequence[HostInventory], readings: Mapping[str, tuple[Reading, ...]]) -> Iterator[Gap]:
    """Yield what nobody looked at where ports are told without one counter: a port that is up may lose packets."""
    hosts = [each.host for each in inventories if each.rdma_ports and not readings.get(each.host)]
    if hosts:
        yield Gap(
            topic="counters",
            reason=f"{listed(hosts)}: no counters were handed over, so losses, errors and pauses were not looked at",
            remedy="netprobe snapshot there before and after the test, or ethtool -S and the counters of its ports",
        )


def _totals(inventory: HostInventory, readings: Sequence[Reading]) -> Iterator[Total]:
    """Yield counters worth a note that are not 0 in the last reading, the worst first."""
    if not readings:
        return
    carried = {port.netdev: port.name for port in inventory.rdma_ports if port.netdev is not None}
    found = [
        (counter, Total(
            host=inventory.host,
            port=port_name(key, carried),
            counter=key.name,
            title=counter.title,
            value=value * counter.scale,
            unit=counter.unit,
            is_at_least=is_saturated(counter, value),
        ))
        for name, value in readings[-1].values.items()
        if value and (known := known_counter(name, NOTABLE)) is not None
        for key, counter in [known]
    ]  # fmt: skip
    yield from (total for _, total in sorted(found, key=lambda each: NOTABLE.index(each[0].weight)))
