"""Does every packet arrive? Unreliable datagrams there and back: what is lost is counted, in each direction by itself.

A reliable connection hides a loss behind a retransmission timer, and not every driver counts it. Datagrams of a whole
MTU that vanish while small ones arrive have met a smaller MTU on the way.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from netprobe.contracts import Assignment, Bench, Flights, Probe, ProbeResult, Stamps
from netprobe.errors import PairError, UnavailableError
from netprobe.model.counters import DatagramCounts
from netprobe.model.finding import Gap
from netprobe.model.plan import REACH, Path, Scope, Stage
from netprobe.model.series import Metric, Series
from netprobe.probes._pairs import pair_failure
from netprobe.probes._recording import Measured, record
from netprobe.units import NS_PER_MS

ID: Final = REACH
MOST_PINGS: Final = 5_000  # of one size; more sharpen neither a median nor the share that is lost
LONGEST_PING_NS: Final = 10 * NS_PER_MS  # of those that are lost, where the count is given


def run(bench: Bench, stage: Stage, assignment: Assignment) -> Sequence[ProbeResult]:
    """Send pings of every size to this round's peer; both ends return what they counted, the leader its times."""
    if assignment.peer is None or not stage.sizes_bytes or bench.datagrams is None:
        return ()
    results: list[ProbeResult] = []
    size_bytes = None
    try:
        largest_bytes = bench.datagrams.meet(stage, assignment.peer)
        for size_bytes in sorted({min(size, largest_bytes) for size in stage.sizes_bytes}):
            most, budget_ns = _extent(stage)
            flights = bench.datagrams.series(
                initiates=assignment.leads, size_bytes=size_bytes, most=most, budget_ns=budget_ns
            )
            results.append(_counts(flights, assignment.peer, size_bytes))
            if assignment.leads:
                results.extend(_series(bench, stage, assignment, size_bytes, flights))
    except UnavailableError as error:
        if assignment.leads:
            results.append(Gap(topic=ID, reason=error.problem, remedy=error.remedy or ""))
    except PairError as error:
        if assignment.leads:
            results.append(pair_failure(bench, stage, assignment, size_bytes, error))
    finally:
        bench.datagrams.part()
    return tuple(results)


def _extent(stage: Stage) -> tuple[int, int]:
    """Return the most pings of a size, and the time for them in ns."""
    if stage.iterations is None:
        return MOST_PINGS, stage.series_budget_ns
    return stage.iterations, stage.iterations * LONGEST_PING_NS


def _counts(flights: Flights, peer: int, size_bytes: int) -> DatagramCounts:
    return DatagramCounts(
        peer=peer,
        size_bytes=size_bytes,
        sent=flights.sent,
        received=flights.received,
        late=flights.late,
        stamped=flights.received if flights.is_stamped else 0,
    )


def _series(bench: Bench, stage: Stage, assignment: Assignment, size_bytes: int, flights: Flights) -> Iterator[Series]:
    """Yield the times that there are: without an answer there is none."""
    times: tuple[tuple[Metric, Stamps], ...] = (
        (Metric.ROUND_TRIP, flights.round_trips_ns),
        (Metric.WIRE, flights.wire_ns),
        (Metric.RESPONDING, flights.responding_ns),
        (Metric.PROBING, flights.probing_ns),
    )
    for metric, times_ns in times:
        if not np.size(times_ns):
            continue
        measured = Measured(
            stage=stage,
            metric=metric,
            round_index=assignment.round_index,
            src=bench.transport.rank,
            dst=assignment.peer,
            size_bytes=size_bytes,
            bytes_per_iteration=2 * size_bytes,
        )
        yield record(measured, times_ns)


PROBE = Probe(
    id=ID,
    title="unreliable datagrams of RDMA that arrive, there and back",
    is_group=False,
    both_directions=False,
    scopes=(Scope.BETWEEN_HOSTS,),
    run=run,
    paths=(Path.VERBS,),
)
