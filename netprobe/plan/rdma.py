"""What a plan measures over RDMA and how: from what was asked for to stages, refused where no fabric could carry it.

Ranges are those of the verbs' fields: ibv_modify_qp(3), ibv_post_send(3), and IBTA's volume 1, 9.7.5.2.8 for timers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Final

from netprobe.errors import PlanError
from netprobe.model.plan import REACH, Carriers, Path, Plan, Scope, Stage
from netprobe.model.rdma import Engine, Operation, RdmaOptions
from netprobe.units import format_duration, format_size

PATH_MTUS_BYTES: Final = (256, 512, 1024, 2048, 4096)
LARGEST_BYTES: Final = 1 << 30  # devices tell of 1 or 2 GiB (max_msg_sz)
ATOMIC_BYTES: Final = 8
FIRST_SOURCE_PORT: Final = 0xC000  # what a flow label can stand for: ibv_flow_label_to_udp_sport in rdma-core
LAST_PORT: Final = 0xFFFF
MOST_WINDOW: Final = 16_384  # messages in flight: thousands fill any NIC, and each takes a request and an entry
ECN_BITS: Final = 2  # of a traffic class, below the DSCP
SMALLEST_DATAGRAM_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RdmaWish:
    """What was asked for; None: nobody said. Fields as in RdmaOptions, and the DSCP."""

    engine: Engine | None = None
    operation: Operation | None = None
    device: str | None = None
    gid_index: int | None = None
    path_mtu_bytes: int | None = None
    dscp: int | None = None
    traffic_class: int | None = None
    service_level: int | None = None
    source_port: int | None = None
    ack_timeout: int | None = None
    retry_count: int | None = None
    rnr_retry_count: int | None = None
    min_rnr_timer: int | None = None
    queue_pairs: int | None = None
    signal_every: int | None = None
    post_list: int | None = None
    inline_bytes: int | None = None


NOTHING: Final = RdmaWish()
RANGES: Final = {
    "gid_index": ("--gid-index", 0, 255),
    "dscp": ("--dscp", 0, 63),
    "traffic_class": ("--traffic-class", 0, 255),
    "service_level": ("--service-level", 0, 15),
    "source_port": ("--source-port", FIRST_SOURCE_PORT, LAST_PORT),
    "ack_timeout": ("--ack-timeout", 1, 31),  # 0 would wait for ever
    "retry_count": ("--retry", 0, 7),
    "rnr_retry_count": ("--rnr-retry", 0, 7),
    "min_rnr_timer": ("--rnr-timer", 0, 31),
    "queue_pairs": ("--qps", 1, 64),
    "signal_every": ("--signal-every", 1, MOST_WINDOW),
    "post_list": ("--post-list", 1, MOST_WINDOW),
    "inline_bytes": ("--inline", 0, 4_096),
}
"""Of each field: its option, the smallest and the largest value."""


def carried_by(stages: Iterable[Stage], carriers: Carriers, wish: RdmaWish) -> tuple[Stage, ...]:
    """Return the stages that go over what is wanted, those over RDMA as wished; PlanError where the wish cannot be."""
    if carriers in (Carriers.MPI, Carriers.NCCL):
        refuse_idle(wish, carriers)
        return tuple(stage for stage in stages if stage.path.value == carriers.value)
    refuse_out_of_range(wish)
    return tuple(
        _as_wished(stage, wish) if stage.path is Path.VERBS else stage
        for stage in stages
        if carriers is Carriers.AUTO or stage.path is Path.VERBS
    )


def over_rdma(stage: Stage) -> Stage:
    """Return the stage over RDMA that a stage of pairs has beside it.

    Between hosts alone: within one, RDMA tells of the NIC and of PCI.
    """
    operation = Operation.SEND if stage.probe in ("latency", REACH) else Operation.WRITE
    name = f"rdma-{stage.probe}-{Scope.BETWEEN_HOSTS.value}"
    return replace(stage, id=name, scope=Scope.BETWEEN_HOSTS, path=Path.VERBS, rdma=RdmaOptions(operation=operation))


def datagram_sizes(begin_bytes: int, end_bytes: int) -> tuple[int, ...]:
    """Return the smallest and the largest datagram of a sweep; each pair cuts the largest to what its ports carry."""
    most = max(PATH_MTUS_BYTES)
    return tuple(sorted({min(max(size, SMALLEST_DATAGRAM_BYTES), most) for size in (begin_bytes, end_bytes)}))


def refuse_for_datagrams(carriers: Carriers, wish: RdmaWish) -> None:
    """Raise PlanError for what datagrams alone cannot be asked for."""
    if carriers is Carriers.MPI:
        raise PlanError("reach sends datagrams of RDMA, and MPI has none", remedy="--transport verbs")
    if wish.engine is Engine.PYVERBS:
        raise PlanError("the engine pyverbs sends no datagrams", remedy="--engine native")
    if wish.operation is not None:
        raise PlanError(
            f"--operation {wish.operation}: datagrams are sent, and there is no other way", remedy="leave it away"
        )


def refuse_idle(wish: RdmaWish, carriers: Carriers = Carriers.MPI) -> None:
    """Raise PlanError for wishes of RDMA where nothing goes over RDMA."""
    if wish != NOTHING:
        name = next(each.name for each in fields(RdmaWish) if getattr(wish, each.name) is not None)
        raise PlanError(
            f"{_option(name)} has nothing to say to {carriers.value.upper()}",
            remedy="--transport verbs, or leave it away",
        )


def refuse_out_of_range(wish: RdmaWish) -> None:
    """Raise PlanError for a value that its field of a verb cannot hold, and for two that contradict each other."""
    for name, (option, least, most) in RANGES.items():
        value = getattr(wish, name)
        if value is not None and not least <= value <= most:
            raise PlanError(f"{option} {value} is out of range", remedy=f"{option} with {least} to {most}")
    if wish.path_mtu_bytes is not None and wish.path_mtu_bytes not in PATH_MTUS_BYTES:
        known = ", ".join(map(str, PATH_MTUS_BYTES))
        raise PlanError(f"--path-mtu {wish.path_mtu_bytes} is no MTU of RDMA", remedy=f"one of {known}")
    if wish.dscp is not None and wish.traffic_class is not None:
        raise PlanError(
            "--dscp and --traffic-class both say how packets are marked",
            remedy=f"--dscp {wish.dscp}, which is traffic class {wish.dscp << ECN_BITS}",
        )
    last_port = (wish.source_port or 0) + (wish.queue_pairs or 1) - 1
    if last_port > LAST_PORT:
        raise PlanError(
            f"--source-port {wish.source_port} leaves no port for each of {wish.queue_pairs} queue pairs",
            remedy=f"--source-port {LAST_PORT - (wish.queue_pairs or 1) + 1} or less",
        )


def refuse_slow_failure(plan: Plan, silence_ns: int) -> None:
    """Raise PlanError where a lost pair is tried for so long that its hosts would be taken for hung."""
    for stage in plan.stages:
        if stage.rdma is not None and stage.rdma.longest_retry_ns >= silence_ns:
            raise PlanError(
                f"--ack-timeout {stage.rdma.ack_timeout} with --retry {stage.rdma.retry_count}: a lost pair is tried "
                f"for up to {format_duration(stage.rdma.longest_retry_ns)}, and after "
                f"{format_duration(silence_ns)} of silence its hosts are taken out",
                remedy="a smaller --ack-timeout, or a longer --deadline",
            )


def _as_wished(stage: Stage, wish: RdmaWish) -> Stage:
    base = stage.rdma or RdmaOptions()
    told = {each.name: getattr(wish, each.name) for each in fields(RdmaOptions)}
    options = replace(base, **{name: value for name, value in told.items() if value is not None})
    if wish.dscp is not None:
        options = replace(options, traffic_class=wish.dscp << ECN_BITS)
    if stage.probe == REACH:
        return replace(stage, rdma=replace(options, operation=Operation.SEND))  # of streams, not of datagrams
    stage = replace(stage, rdma=options)
    _refuse_sizes(stage)
    if options.operation is Operation.ATOMIC:
        return _of_atomics(stage)
    if stage.probe != "latency":
        _refuse_beyond_window(stage, wish)
    return stage


def _of_atomics(stage: Stage) -> Stage:
    """Return the stage with the one size that an atomic has; it adds to what is there, so no data is compared."""
    if stage.probe != "latency":
        raise PlanError(f"atomics do not stream: {stage.probe} has none", remedy="netprobe run latency, or --operation")
    if ATOMIC_BYTES not in stage.sizes_bytes:
        raise PlanError("an atomic is of 8 bytes", remedy="-b 8 -e 8")
    return replace(stage, sizes_bytes=(ATOMIC_BYTES,), check_iterations=0)


def _refuse_sizes(stage: Stage) -> None:
    if max(stage.sizes_bytes) > LARGEST_BYTES:
        raise PlanError(
            f"a message of {format_size(max(stage.sizes_bytes))} is more than RDMA carries at once",
            remedy="-e 1G, or --transport mpi",
        )


def _refuse_beyond_window(stage: Stage, wish: RdmaWish) -> None:
    """Refuse what can never happen with so few messages in flight: half of each queue pair's must complete at once."""
    most = {"queue_pairs": stage.window, "post_list": stage.window}
    most["signal_every"] = max(stage.window // (2 * (wish.queue_pairs or 1)), 1)
    for name, limit in most.items():
        value = getattr(wish, name)
        if value is not None and value > limit:
            raise PlanError(
                f"{_option(name)} {value} is too much for {stage.window} messages in flight",
                remedy=f"{_option(name)} {limit}, or a larger -W",
            )


def _option(name: str) -> str:
    named = {"path_mtu_bytes": "--path-mtu", "device": "--rdma-device"}
    return RANGES[name][0] if name in RANGES else named.get(name, f"--{name}")
