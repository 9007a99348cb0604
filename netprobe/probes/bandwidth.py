"""How much goes one way? A window of messages in flight, then one acknowledgement; also the rate of small messages."""

from collections.abc import Sequence

from netprobe.contracts import Assignment, Bench, Probe, Stamps
from netprobe.model.finding import Gap
from netprobe.model.plan import Scope, Stage
from netprobe.model.rdma import PairFailure
from netprobe.model.series import Metric, Series
from netprobe.probes._pairs import PairOperation, PairRound, measure_pairs


def _windows(pair: PairRound, iterations: int) -> Stamps:
    buffer = pair.send if pair.leads else pair.receive
    return pair.bench.transport.stream(
        sends=pair.leads,
        peer=pair.peer,
        address=buffer.address,
        size_bytes=pair.size_bytes,
        window=pair.window,
        iterations=iterations,
        stride_bytes=pair.stride_bytes,
    )


OPERATION = PairOperation(
    metric=Metric.WINDOW,
    leader_receives=False,
    follower_receives=True,
    messages=lambda window: window,
    run=_windows,
)


def run(bench: Bench, stage: Stage, assignment: Assignment) -> Sequence[Series | Gap | PairFailure]:
    """Stream from the round's leader to its follower; the sender's clock counts, from first send to acknowledgement."""
    return measure_pairs(bench, stage, assignment, OPERATION)


PROBE = Probe(
    id="bandwidth",
    title="one-way streaming, a window of messages in flight",
    is_group=False,
    both_directions=True,
    scopes=(Scope.WITHIN_HOST, Scope.BETWEEN_HOSTS),
    run=run,
)
