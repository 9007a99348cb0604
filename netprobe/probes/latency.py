"""How long does a message take? Ping-pong round trips; latency is half of one. Host noise is in it, as jobs have it."""

from collections.abc import Sequence

from netprobe.contracts import Assignment, Bench, Probe, Stamps
from netprobe.model.finding import Gap
from netprobe.model.plan import Scope, Stage
from netprobe.model.rdma import PairFailure
from netprobe.model.series import Metric, Series
from netprobe.probes._pairs import PairOperation, PairRound, measure_pairs


def _round_trips(pair: PairRound, iterations: int) -> Stamps:
    return pair.bench.transport.pingpong(
        initiates=pair.leads,
        peer=pair.peer,
        send=pair.send.address,
        receive=pair.receive.address,
        size_bytes=pair.size_bytes,
        iterations=iterations,
    )


OPERATION = PairOperation(
    metric=Metric.ROUND_TRIP,
    leader_receives=True,
    follower_receives=True,
    messages=lambda _window: 2,
    run=_round_trips,
)


def run(bench: Bench, stage: Stage, assignment: Assignment) -> Sequence[Series | Gap | PairFailure]:
    """Measure round trips with this round's peer; the leader's clock counts."""
    return measure_pairs(bench, stage, assignment, OPERATION)


PROBE = Probe(
    id="latency",
    title="half round trip of a ping-pong between two ranks",
    is_group=False,
    both_directions=False,
    scopes=(Scope.WITHIN_HOST, Scope.BETWEEN_HOSTS),
    run=run,
)
