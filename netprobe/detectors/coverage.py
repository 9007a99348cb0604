"""What was planned and not measured; so that nothing is green by accident."""

import math
from collections.abc import Iterator

from netprobe.contracts import Detector
from netprobe.detectors._words import listed
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import Coverage, Evidence
from netprobe.model.finding import Finding, Gap
from netprobe.model.limits import Limits

ID = "coverage"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Report what is missing; it undermines the verdict when it is more than the limit allows."""
    coverage = evidence.coverage
    if coverage.ratio is None:
        yield Gap(topic=ID, reason="nothing was planned", remedy="netprobe check", undermines=True)
        return
    undermines = coverage.ratio < limits.coverage_ratio
    missing = _missing(coverage)
    if missing:
        yield Gap(
            topic=ID,
            reason=f"{_floored_percent(coverage.ratio)} of the plan was measured: {'; '.join(missing)}",
            remedy="netprobe check again, or with fewer hosts",
            undermines=undermines,
        )
    if coverage.untested_ranks:
        placement = placement_of(evidence.ranks)
        names = listed(placement.name(rank) for rank in coverage.untested_ranks)
        yield Gap(
            topic=ID,
            reason=f"{len(coverage.untested_ranks)} of {coverage.ranks} ranks were never measured: {names}",
            remedy="a plan in which every rank has a partner: the same number of ranks on every host",
            undermines=undermines,
        )
    yield from _unread(evidence)
    yield from _unstamped(evidence)


def _unread(evidence: Evidence) -> Iterator[Gap]:
    """Say of which NICs nobody knows whether they lost or paused anything, and when they ceased to tell."""
    ports_of: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for port in evidence.unread:
        ports_of.setdefault((port.stages, port.was_read), []).append(f"{port.host} {port.port}")
    for (stages, was_read), ports in ports_of.items():
        since = f" in {listed(stages)}, though it was in others" if was_read else ""
        yield Gap(
            topic=ID,
            reason=f"no counter of {listed(ports)} was read{since}: what was lost or paused there is not known",
            remedy="netprobe counters on that host, and dmesg: the device may have gone and come back"
            if was_read
            else "netprobe counters on that host; --exclude DEVICE if it is not part of the fabric",
            undermines=True,
        )


def _unstamped(evidence: Evidence) -> Iterator[Gap]:
    """Say once that NICs do not tell when packets left and came, where datagrams were sent."""
    datagrams = evidence.datagrams
    placement = placement_of(evidence.ranks)
    sources = {placement.host(rank) for rank in datagrams.src.tolist()}
    without = {placement.host(rank) for rank in datagrams.src[~datagrams.source_stamps].tolist()}
    if not without:
        return
    where = "" if without == sources else f" of {listed(sorted(without))}"
    yield Gap(
        topic=ID,
        reason=f"time on the wire cannot be told from time in hosts: the NICs{where} do not stamp completions",
        remedy="NICs and drivers with completion timestamps (ibv_devinfo -v: completion timestamp_mask)",
    )


def _floored_percent(ratio: float) -> str:
    """Return a share rounded down: what is not complete must not read as 100 %."""
    return f"{math.floor(1000 * ratio) / 10:g} %"


def _missing(coverage: Coverage) -> list[str]:
    missing = []
    unfinished = [stage for stage in coverage.stages_planned if stage not in coverage.stages_finished]
    if unfinished:
        missing.append(f"{len(unfinished)} of {len(coverage.stages_planned)} stages unfinished ({listed(unfinished)})")
    lost = coverage.pairs_planned - coverage.pairs_measured - coverage.pairs_failed
    if lost > 0:
        missing.append(f"{lost} of {coverage.pairs_planned} pairs missing from finished stages")
    return missing


DETECTOR = Detector(
    id=ID,
    title="what was planned and not measured",
    cause="""The run ended early (a rank died or hung, the budget or the scheduler ended it, somebody pressed
    Ctrl-C), or a stage could not measure some pairs: not enough memory, ranks without a partner.""",
    evidence="""The plan in run.json is compared with the series that were recorded: stages that were not finished,
    pairs of finished stages that have no series or lack a size, ranks that appear in none. Below coverage_ratio the
    verdict is INCONCLUSIVE, unless a fault that blocks was already found for sure. So it is where no counter
    of an active RDMA port was read in a finished stage: that a NIC says nothing is no sign of health.""",
    remedy="""Read why the run ended (`error` in run.json, the end of events.jsonl), take out the host it names, and
    run again. A site that accepts partial runs lowers coverage_ratio; what is missing is still listed.""",
    limits=("coverage_ratio",),
    detect=detect,
)
