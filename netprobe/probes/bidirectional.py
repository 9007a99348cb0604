"""How much goes both ways at once? Both ends send and receive a window; the figure is the sum of both directions."""

from collections.abc import Sequence

from netprobe.contracts import Assignment, Bench, Probe, Stamps
from netprobe.model.finding import Gap
from netprobe.model.plan import Scope, Stage
from netprobe.model.rdma import PairFailure
from netprobe.model.series import Metric, Series
from netprobe.probes._pairs import PairOperation, PairRound, measure_pairs


def _windows(pair: PairRound, iterations: int) -> Stamps:
    return pair.bench.transport.exchange(
        peer=pair.peer,
        send=pair.send.address,
        receive=pair.receive.address,
        size_bytes=pair.size_bytes,
        window=pair.window,
        iterations=iterations,
        stride_bytes=pair.stride_bytes,
    )


OPERATION = PairOperation(
    metric=Metric.WINDOW,
    leader_receives=True,
    follower_receives=True,
    messages=lambda window: 2 * window,
    run=_windows,
)


def run(bench: Bench, stage: Stage, assignment: Assignment) -> Sequence[Series | Gap | PairFailure]:
    """Stream both ways with this round's peer; the leader's clock counts."""
    return measure_pairs(bench, stage, assignment, OPERATION)


PROBE = Probe(
    id="bidirectional",
    title="two-way streaming, a window of messages in flight each way",
    is_group=False,
    both_directions=False,
    scopes=(Scope.WITHIN_HOST, Scope.BETWEEN_HOSTS),
    run=run,
)
