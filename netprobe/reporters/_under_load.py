"""What load does, as tables: latency idle and beside it, many senders to one, everybody at once."""

from collections.abc import Iterator
from typing import Final

from netprobe.model.report import FanInSummary, LineBasis, LoadedSummary, StorageSummary, TogetherSummary, UnderLoad
from netprobe.reporters._figures import Figures
from netprobe.reporters._wording import ABSENT, duration, message_size, short_name
from netprobe.units import format_gbps

NOTE: Final = (
    "under load: factor is the time beside load over the mean of alone before and after (GPCNeT's congestion impact "
    "factor); fair is Jain's index over the senders, 1 when all get as much; goodput is also told as a share of the "
    "rate of the receiver's NIC (where no NIC tells it, of what a pair carries alone); kept is of the most that fewer "
    "senders brought, and of as many pairs one by one; loses is against the slower of alone and alone again"
)


def load_figures(told: UnderLoad) -> tuple[Figures, ...]:
    """Return one table for each of three kinds of figures, without those that have no row."""
    return tuple(_tables(told))


def has_load(told: UnderLoad) -> bool:
    """Return whether anything was measured under load."""
    return bool(told.loaded or told.fan_ins or told.together or told.storage)


def _tables(told: UnderLoad) -> Iterator[Figures]:
    if told.loaded:
        yield Figures(
            title="under load: latency, half a round trip, idle → beside load",
            columns=("beside", "size", "pairs", "p50", "p99", "factor", "p99.9", "max", "worst pair"),
            words=frozenset({"beside", "size", "worst pair"}),
            rows=tuple(map(_loaded, told.loaded)),
            dispensable=("max", "p99.9", "size", "pairs"),
        )
    if told.fan_ins:
        yield Figures(
            title=f"under load: many senders to one receiver ({_hot(told.fan_ins)})",
            columns=("senders", "receivers", "goodput", _line(told.fan_ins), "kept", "fair", "longest window", "least"),
            words=frozenset({"least"}),
            rows=tuple(map(_fan_in, told.fan_ins)),
            dispensable=("longest window", "receivers"),
        )
    if told.together:
        yield Figures(
            title="under load: all hosts at once, and a flow beside a hot receiver",
            columns=("load", "flows", "in all", "pairwise", "kept", "slowest"),
            words=frozenset({"load", "slowest"}),
            rows=tuple(map(_together, told.together)),
        )

    for row in told.storage:
        yield _storage(row)


def _storage(row: StorageSummary) -> Figures:
    """Return the table of all-reduces beside reads."""
    rate = "" if row.rate_gbps is None else f", {format_gbps(row.rate_gbps)} each"
    size = message_size(row.size_bytes)
    hosts = f"{row.hosts} host{'' if row.hosts == 1 else 's'}"
    least = ABSENT if row.worst_host is None else f"{_rate(row.worst_read_gbps)} {short_name(row.worst_host)}"
    return Figures(
        title=f"under load: all-reduce of {size} beside reads of {hosts}{rate}",
        columns=("", "alone", "together", "alone again", "loses", "least"),
        words=frozenset({"", "least"}),
        rows=(
            ("all-reduce p50", *map(duration, row.reduced_p50_ns), _lost(row.reduced_lost_ratio), ""),
            ("all-reduce p99", *map(duration, row.reduced_p99_ns), "", ""),
            ("reads of a host", *map(_rate, row.read_gbps), _lost(row.read_lost_ratio), least),
            ("a read p99", *map(duration, row.read_p99_ns), "", ""),
        ),
        dispensable=("least",),
    )


def _lost(ratio: float | None) -> str:
    return _percent(None if ratio is None else max(ratio, 0.0))


def _rate(gbps: float | None) -> str:
    return ABSENT if gbps is None else format_gbps(gbps)


def _loaded(row: LoadedSummary) -> tuple[str, ...]:
    return (
        row.background,
        message_size(row.size_bytes),
        f"{row.pairs}",
        _change(row.idle_p50_ns, row.loaded_p50_ns),
        _change(row.idle_p99_ns, row.loaded_p99_ns),
        _times(row.factor_p99),
        _times(row.factor_p999),
        _times(row.factor_max),
        ABSENT
        if row.worst_pair is None
        else f"{_times(row.worst_factor_p99)} {' – '.join(map(short_name, row.worst_pair))}",
    )


def _change(idle_ns: float | None, loaded_ns: float | None) -> str:
    return ABSENT if idle_ns is None or loaded_ns is None else f"{duration(idle_ns)} → {duration(loaded_ns)}"


def _times(factor: float | None) -> str:
    return ABSENT if factor is None else f"{factor:.1f}×" if factor < 100 else f"{factor:.0f}×"


def _hot(rows: tuple[FanInSummary, ...]) -> str:
    hot, hosts = max(row.hot_hosts for row in rows), max(row.hosts for row in rows)
    return f"{hot} of {hosts} hosts in turn"


def _line(rows: tuple[FanInSummary, ...]) -> str:
    """Return what a receiver's goodput is a share of, for the head of its column."""
    if rows[0].line_basis is LineBasis.PAIR:
        return "of a pair"
    rates = {format_gbps(row.line_gbps) for row in rows if row.line_gbps is not None}
    return f"of {rates.pop()}" if len(rates) == 1 else "of NIC"


def _fan_in(row: FanInSummary) -> tuple[str, ...]:
    return (
        f"{row.fan_in}",
        f"{row.receivers}",
        format_gbps(row.goodput_gbps),
        _percent(row.line_ratio),
        _percent(row.kept_ratio),
        f"{row.jain:.2f}",
        duration(row.longest_window_ns),
        ABSENT
        if row.worst_receiver is None or row.worst_gbps is None
        else f"{format_gbps(row.worst_gbps)} {short_name(row.worst_receiver)}",
    )


def _together(row: TogetherSummary) -> tuple[str, ...]:
    return (
        row.probe,
        f"{row.flows}",
        format_gbps(row.total_gbps),
        ABSENT if row.alone_gbps is None else format_gbps(row.alone_gbps),
        _percent(row.kept_ratio),
        f"{format_gbps(row.worst_gbps)} {' → '.join(map(short_name, row.worst_flow))}",
    )


def _percent(ratio: float | None) -> str:
    return ABSENT if ratio is None else f"{100 * ratio:.0f} %"
