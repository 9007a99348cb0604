"""Judge how hosts are set, from inventories alone: what is wrong before anything is measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.judge.judge import settled
from netprobe.judge.order import merged
from netprobe.model.finding import Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.verdict import ExitCode
from netprobe.registry import detectors
from netprobe.store.reader import Run

NO_PORTS_GAP: Final = Gap(
    topic="settings",
    reason="no host has an RDMA port, so flow control, congestion control and addresses of RDMA were not looked at",
    remedy="netprobe doctor, if there should be one",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What is wrong with the settings of hosts, and what could not be told."""

    hosts: tuple[str, ...]
    ports: int
    """RDMA ports whose settings were looked at; without any, nothing wrong means nothing."""
    findings: tuple[Finding, ...]
    """Worst first."""
    gaps: tuple[Gap, ...]

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with: settings that are fine say nothing of the fabric, but 0 is what cron expects."""
        if any(finding.severity is Severity.BLOCKS for finding in self.findings):
            return ExitCode.FAULTY
        if self.findings:
            return ExitCode.DEGRADED
        undermined = any(gap.undermines for gap in self.gaps)
        return ExitCode.INCONCLUSIVE if undermined or not self.ports else ExitCode.HEALTHY


def audit(run: Run, limits: Limits, beside: Sequence[Gap] = ()) -> Audit:
    """Return what the detectors say that need no measurement; ``beside`` are gaps known already."""
    from netprobe.judge.evidence import evidence_of  # loads polars

    evidence = evidence_of(run)
    answers = [
        answer for detector in detectors().values() if detector.audits for answer in detector.detect(evidence, limits)
    ]
    ports = sum(len(inventory.rdma_ports) for inventory in evidence.inventories.values())
    nothing = () if ports else (NO_PORTS_GAP,)
    return Audit(
        hosts=tuple(evidence.inventories),
        ports=ports,
        findings=settled((each for each in answers if isinstance(each, Finding)), evidence),
        gaps=(*beside, *nothing, *evidence.gaps, *merged(each for each in answers if isinstance(each, Gap))),
    )
