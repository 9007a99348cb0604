"""What the detectors of pauses share: how long ports stop others, and are stopped."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.detectors._ports import BoolArray, FloatArray, Ports, not_counted, uncounted
from netprobe.detectors._signatures import PAUSE_RECEIVED, PAUSE_SENT
from netprobe.model.finding import Fact, Gap
from netprobe.model.meaning import Meaning
from netprobe.model.ports import Span

WHAT: Final = "pauses"
HOW_LONG: Final = "how long pauses last (nor is the rate known at which frames would tell)"


def sent_share(ports: Ports, span: Span = Span.LOAD) -> FloatArray:
    """Return the share of a span for which each RDMA port asked others to stop."""
    return ports.paused(Meaning.PAUSE_SENT_TIME, Meaning.PAUSE_SENT, span)


def received_share(ports: Ports, span: Span = Span.LOAD) -> FloatArray:
    """Return the share of a span for which each RDMA port had to stop."""
    return ports.paused(Meaning.PAUSE_RECEIVED_TIME, Meaning.PAUSE_RECEIVED, span)


def unprovoked_share(ports: Ports) -> FloatArray:
    """Return the share of the time under load for which each RDMA port had to stop, without loads made on purpose.

    Those are meant to fill queues: pauses then are what is wished for.
    """
    share, elapsed_ns = received_share(ports), ports.table.elapsed_ns()
    provoked_ns = ports.table.elapsed_ns(Span.PROVOKED)
    left_ns = elapsed_ns - provoked_ns
    outside = (share * elapsed_ns - received_share(ports, Span.PROVOKED) * provoked_ns) / np.maximum(left_ns, 1.0)
    unprovoked: FloatArray = np.where(left_ns > 0, np.clip(outside, 0.0, 1.0), share)
    return unprovoked


def sent_uncounted(ports: Ports, span: Span = Span.LOAD) -> BoolArray:
    """Return the ports that do not count the pauses they send."""
    return uncounted(ports, PAUSE_SENT, span)


def received_uncounted(ports: Ports, span: Span = Span.LOAD) -> BoolArray:
    """Return the ports that do not count the pauses they receive."""
    return uncounted(ports, PAUSE_RECEIVED, span)


def sent_untold(ports: Ports, topic: str, span: Span = Span.LOAD) -> Iterator[Gap]:
    """Yield what is not known of the pauses that RDMA ports send."""
    frames_alone = ~ports.is_timed(Meaning.PAUSE_SENT_TIME, span) & (ports.table.grown(Meaning.PAUSE_SENT, span) > 0)
    return _untold(ports, topic, sent_uncounted(ports, span), frames_alone)


def received_untold(ports: Ports, topic: str, span: Span = Span.LOAD) -> Iterator[Gap]:
    """Yield what is not known of the pauses that RDMA ports receive."""
    frames_alone = ~ports.is_timed(Meaning.PAUSE_RECEIVED_TIME, span)
    frames_alone &= ports.table.grown(Meaning.PAUSE_RECEIVED, span) > 0
    return _untold(ports, topic, received_uncounted(ports, span), frames_alone)


def _untold(ports: Ports, topic: str, nothing: BoolArray, frames_alone: BoolArray) -> Iterator[Gap]:
    for what, missing in ((WHAT, nothing), (HOW_LONG, frames_alone & np.isnan(ports.rate_gbps))):
        if (gap := not_counted(ports, topic, what, missing, ports.carries_roce)) is not None:
            yield gap


def asks_at_idle(ports: Ports, span: Span) -> BoolArray:
    """Return the RDMA ports that ask others to stop in an idle time; those in use may have a reason."""
    asks: BoolArray = ports.carries_roce & (sent_share(ports, span) >= ports.limits.pause_idle_ratio)
    return asks


def storms(ports: Ports, span: Span) -> BoolArray:
    """Return the RDMA ports that ask others to stop in an idle time, without a reason for it."""
    without_reason: BoolArray = asks_at_idle(ports, span) & ~ports.is_in_use(span)
    return without_reason


def rises_over(ports: Ports, meanings: tuple[Meaning, ...], span: Span = Span.LOAD) -> Fact | None:
    """Tell on how many RDMA ports any of these grew; None where nobody counts them."""
    grown = ports.grown(*meanings, span=span)[ports.carries_roce]
    counted = int((grown >= 0).sum())
    if not counted:
        return None
    return Fact(
        metric=f"RDMA ports with {meanings[0]} ({span})",
        observed=f"{int((grown > 0).sum())} of {counted}",
        expected="–",
        basis="counters of all NICs",
    )
