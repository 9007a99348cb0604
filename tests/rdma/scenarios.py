"""Faults on the RDMA paths of four hosts, and what netprobe has to say of each: read in the guest, and by the tests.

What another scenario nearly covers is tried with NETPROBE_MATRIX=whole alone.
"""

import os
from dataclasses import dataclass, replace

from netprobe.model.plan import Path, Plan
from netprobe.plan.profiles import plan_for
from netprobe.units import NS_PER_MS

SERIES_NS = 100 * NS_PER_MS
MEANWHILE = "rdma-bandwidth-between-hosts"
SIZES = {"reach": (64, 4096), "latency": (4096,), "bandwidth": (65536,)}
WINDOW = 4
"""An emulated processor moves some 50 MB/s, for all hosts together: two stages are enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Harm to do before and in the middle of a run, and the one finding that it calls for."""

    name: str
    before: tuple[str, ...] = ()
    meanwhile: tuple[tuple[float, str], ...] = ()
    """Once the first round of MEANWHILE has begun, each with the seconds that pass before it."""
    series_ns: int = SERIES_NS
    window: int = WINDOW
    ack_timeout: int = 16
    """0.27 s: an emulated processor lets an acknowledgement wait for longer than 67 ms (14)."""
    detector: str | None = None
    """None: nothing is wrong."""
    subjects: tuple[tuple[str, ...], ...] = ()
    """Any of these is right."""
    says: str = ""
    besides: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Findings that are true as well: (detector, subjects)."""
    is_extra: bool = False
    """Whether another scenario nearly covers it."""


def either(*names: str) -> tuple[tuple[str, ...], ...]:
    """Return subjects of one name each."""
    return tuple((name,) for name in names)


LOSS, SLOW, BROKEN = "packet-loss", "slow-link", "rdma-failure"
ALL_AT_40 = tuple(f"rate h{number} {way} 40mbit" for number in range(1, 5) for way in ("tx", "rx"))
"""So that the links set the pace, and not the one processor that all hosts share."""
EVERY = (
    Scenario(name="clean"),
    # With three hosts left, one that waits for an emulated processor looks slow: here links set the pace.
    Scenario(
        name="link-down",
        before=(*ALL_AT_40, "link h4 down"),
        series_ns=4 * SERIES_NS,
        detector="link-downgrade",
        subjects=either("h4 rxe0"),
        is_extra=True,
    ),
    Scenario(
        name="mtu",
        before=("mtu h2 1500",),
        ack_timeout=14,
        detector=BROKEN,
        subjects=either("h2"),
        says="the MTU on the way",
    ),
    Scenario(
        name="no-address",
        before=("no-address h2",),
        detector="gid-mismatch",
        subjects=either("h2 rxe0"),
        says="link-local",
        is_extra=True,
    ),
    Scenario(
        name="flap",
        meanwhile=((0.2, "link h2 down"), (2.0, "link h2 up")),
        detector="link-flap",
        subjects=either("h2 rxe0"),
    ),
    Scenario(
        name="reorder",
        before=("reorder h2 3%",),
        detector="out-of-order",
        subjects=either("h2 rxe0"),
        besides=(("slow-host", ("h2",)),),  # what does not overtake is delayed, which may be seen as well
    ),
    # Longer than anybody waits for a processor, and enough round trips for one of them not to wait.
    Scenario(name="delay", before=("delay h3 15ms",), series_ns=6 * SERIES_NS),
    Scenario(
        name="tx-loss-1",
        before=("loss h2 tx 1%",),
        series_ns=4 * SERIES_NS,
        detector=LOSS,
        subjects=either("h2 rxe0"),
        says="(tx)",
        is_extra=True,
    ),
    Scenario(
        name="tx-loss-10",
        before=("loss h2 tx 10%",),
        ack_timeout=14,
        detector=LOSS,
        subjects=either("h2 rxe0"),
        says="(tx)",
        is_extra=True,
    ),
    # Long enough for thousands of packets: of some hundreds, one percent is too few to tell from a hiccup.
    Scenario(
        name="rx-loss-1",
        before=("loss h3 rx 1%",),
        series_ns=4 * SERIES_NS,
        detector=LOSS,
        subjects=either("h3 rxe0"),
        says="(rx)",
    ),
    Scenario(
        name="trunk-loss-3",
        before=("loss trunk 3%",),
        detector=LOSS,
        subjects=either("h1,h3 <-> h2,h4"),
        is_extra=True,
    ),
    Scenario(
        name="rate-tx", before=(*ALL_AT_40, "rate h2 tx 10mbit"), detector=SLOW, subjects=either("h2"), says="sends"
    ),
    Scenario(
        name="rate-rx",
        before=(*ALL_AT_40, "rate h4 rx 10mbit"),
        detector=SLOW,
        subjects=either("h4"),
        says="receives",
        is_extra=True,
    ),
    Scenario(
        name="tx-loss-0.1",
        before=("loss h2 tx 0.1%",),
        series_ns=1500 * NS_PER_MS,
        window=16,
        detector=LOSS,
        subjects=either("h2 rxe0"),
        says="(tx)",
    ),
    Scenario(name="clean-in-the-end", is_extra=True),
)
IS_WHOLE = os.environ.get("NETPROBE_MATRIX") == "whole"
SCENARIOS = tuple(each for each in EVERY if IS_WHOLE or not each.is_extra)


def plan_of(scenario: Scenario) -> Plan:
    """Return what ``netprobe check --transport verbs`` measures, with shorter series."""
    plan = plan_for("quick")
    stages = (
        replace(
            stage,
            sizes_bytes=SIZES[stage.probe],
            window=scenario.window if stage.window > 1 else 1,
            series_budget_ns=scenario.series_ns,
            rdma=replace(stage.rdma, ack_timeout=scenario.ack_timeout),
        )
        for stage in plan.stages
        if stage.path is Path.VERBS and stage.rdma is not None and stage.probe in SIZES
    )
    return replace(plan, stages=tuple(stages))
