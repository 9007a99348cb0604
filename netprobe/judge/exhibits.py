"""From a run to what can be drawn of it (model.exhibits). Pure: the same run gives the same exhibits.

It judges nothing: what is wrong is the detectors' to say, and a map shows it or does not.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netprobe.detectors._expected_collectives import expected_gigabytes_per_s, expected_of, memory_of
from netprobe.judge.exhibited_counters import counted_stages, growths_of
from netprobe.judge.exhibited_pairs import loss_maps, speed_maps
from netprobe.judge.exhibited_spreads import spreads_of
from netprobe.locate.expected import Lack, cited
from netprobe.locate.fleet import differences
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.exhibits import Exhibits, ExpectedRate, Places, SettingDifference, StageCoverage
from netprobe.model.limits import Limits
from netprobe.model.run import RunHeader
from netprobe.store.reader import Run

if TYPE_CHECKING:
    import polars as pl


def exhibits_of(run: Run, evidence: Evidence, merged: "pl.DataFrame", limits: Limits) -> Exhibits:
    """Return what can be drawn of a run; ``merged`` are its histograms (store.histograms)."""
    inventories = tuple(evidence.inventories.values())
    return Exhibits(
        places=_places(evidence),
        maps=(*speed_maps(evidence), *loss_maps(evidence, limits)),
        spreads=tuple(spreads_of(merged, run.header.plan)),
        expected=tuple(_expected(evidence)),
        growths=tuple(growths_of(run, evidence.ports)),
        counted_stages=counted_stages(run) if evidence.ports.host else (),
        ports_read=len(evidence.ports.host),
        settings=tuple(
            SettingDifference(
                part=each.name.part, topic=each.name.topic, usual=each.usual, agreeing=each.agreeing, others=each.others
            )
            for each in differences(inventories)
        ),
        hosts_told=len(inventories),
        stages=tuple(_stages(run.header)),
    )  # fmt: skip


def _places(evidence: Evidence) -> Places:
    placement = placement_of(evidence.ranks)
    port_of = {each.rank: each.name for each in evidence.endpoints}
    return Places(
        hosts=placement.hosts,
        host_of=placement.host_of,
        nics=tuple(port_of.get(rank) for rank in range(len(evidence.ranks))),
        leaves=placement.leaves,
        leaf_of=placement.leaf_of,
    )


def _expected(evidence: Evidence) -> Iterator[ExpectedRate]:
    for result, answer in expected_of(evidence):
        yield ExpectedRate(
            probe=result.probe,
            path=result.path,
            memory=memory_of(result),
            from_bytes=None if isinstance(answer, Lack) else answer.payload_bytes,
            busbw_gigabytes_per_s=None if isinstance(answer, Lack) else expected_gigabytes_per_s(answer),
            source=answer.what if isinstance(answer, Lack) else cited(answer),
        )


def _stages(header: RunHeader) -> Iterator[StageCoverage]:
    """Yield every stage of the plan; one that a relaunch went on with has several outcomes."""
    rounds: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    pairs: dict[str, set[tuple[int, int]]] = {}
    for outcome in header.outcomes:
        rounds[outcome.stage] += outcome.rounds
        failed[outcome.stage] += len(outcome.failures)
        pairs.setdefault(outcome.stage, set()).update(outcome.planned_pairs)
    complete = {outcome.stage for outcome in header.outcomes if outcome.is_complete}
    for name in dict.fromkeys((*(stage.id for stage in header.plan.stages), *rounds)):
        yield StageCoverage(
            stage=name,
            pairs_planned=len(pairs.get(name, ())),
            pairs_failed=failed[name],
            rounds=rounds[name],
            is_finished=name in complete,
        )
