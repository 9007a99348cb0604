"""From the counters of NICs, by name, to arrays by meaning: what every port counted under load, idle, in each round.

An RDMA port and the interface below it are one port here: each counts what the other does not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from netprobe.catalogue.keys import CounterKey, Origin, key_of
from netprobe.catalogue.lookup import counter_of
from netprobe.model.counters import BETWEEN_READINGS, IDLE_AFTER, IDLE_BEFORE
from netprobe.model.endpoint import Rank
from netprobe.model.inventory import PRIORITIES, HostInventory
from netprobe.model.meaning import Meaning
from netprobe.model.plan import Scope
from netprobe.model.ports import NO_PORTS, QUIET_GBPS, FloatArray, PairCounts, PortTable, Span, SpanCounts
from netprobe.registry import probes

SPAN_OF: Final = {IDLE_BEFORE: Span.IDLE_BEFORE, IDLE_AFTER: Span.IDLE_AFTER}
"""All other stages are load."""
WITHOUT_PRIORITY: Final = -1
LASTING: Final = (Meaning.PAUSE_RECEIVED_TIME, Meaning.PAUSE_SENT_TIME)
"""Priorities stand still at the same time: a port did so for as long as the one that did longest, or longer."""
WIRE: Final = (Meaning.WIRE_SENT_BYTES, Meaning.WIRE_RECEIVED_BYTES)
TRAFFIC: Final = (*WIRE, Meaning.RDMA_SENT_BYTES, Meaning.RDMA_RECEIVED_BYTES)
WINDOW: Final = ("stage", "rank", "elapsed_ns", "window")
"""What tells two windows of a port apart."""
FACTS: Final = {
    "rank": pl.Int64, "counter": pl.String, "port": pl.Int64, "meaning": pl.String, "priority": pl.Int64,
    "scale": pl.Int64, "preference": pl.Int64, "is_recognised": pl.Boolean,
}  # fmt: skip
"""What is known of each counter of each rank's host."""


def port_table(
    counters: pl.DataFrame,
    pairs: pl.DataFrame,
    ranks: Sequence[Rank],
    inventories: Sequence[HostInventory],
    provoked: Sequence[str] = (),
) -> PortTable:
    """Return the ports of all hosts and what they counted; ``counters`` are those of ports alone (counters_table).

    ``provoked`` are the stages that load the fabric on purpose.
    """
    found = _Ports(counters, {rank.rank: rank.host for rank in ranks}, inventories)
    if not found.names:
        return NO_PORTS
    rows = found.rows
    spans = rows.filter(pl.col("round_index").is_null()).with_columns(
        span=pl.col("stage").replace_strict(SPAN_OF, default=Span.LOAD, return_dtype=pl.String),
        # A counter is in each window once: of windows that took equally long, it tells how many there are.
        window=pl.col("counter").cum_count().over("stage", "rank", "elapsed_ns", "counter"),
    )
    return PortTable(
        host=tuple(host for host, _ in found.names),
        name=tuple(name for _, name in found.names),
        netdev=found.netdevs,
        spans={
            Span(str(span)): _span(own, len(found.names))
            for (span,), own in (
                *spans.group_by("span"),
                *_quiet(spans).group_by("span"),
                *_provoked(spans, provoked).group_by("span"),
            )
        },
        pairs=_pair_counts(rows.filter(pl.col("round_index").is_not_null()), pairs, found),
    )


def stage_growths(counters: pl.DataFrame, ranks: Sequence[Rank], inventories: Sequence[HostInventory]) -> pl.DataFrame:
    """Return what every port counted in each whole stage: columns stage, host, port, meaning, value."""
    is_of_port = pl.col("counter").str.starts_with(Origin.RDMA) | pl.col("counter").str.starts_with(Origin.ETHTOOL)
    found = _Ports(
        counters.filter(is_of_port & pl.col("round_index").is_null()),
        {rank.rank: rank.host for rank in ranks},
        inventories,
    )
    keys = ["stage", "port", "meaning"]
    meant = found.rows.filter(pl.col("meaning").is_not_null())
    preferred = meant.filter(pl.col("preference") == pl.col("preference").min().over([*keys, "priority"]))
    summed = preferred.group_by(keys, maintain_order=True).agg(
        pl.max_horizontal(_total_of(False), _total_of(True)).alias("value")
    )
    hosts, names = (pl.Series(each, dtype=pl.String) for each in zip(*found.names, strict=True))
    return summed.select(
        "stage", hosts[summed["port"]].alias("host"), names[summed["port"]].alias("port"), "meaning", "value"
    )


@dataclass(frozen=True, kw_only=True)
class _Known:
    """A counter of some device, as the catalogue knows it."""

    key: CounterKey
    meaning: Meaning | None
    priority: int
    scale: int
    preference: int
    is_recognised: bool


class _Ports:
    """The ports that the rows are about, and the rows with their port, meaning and scaled growth."""

    def __init__(self, counters: pl.DataFrame, host_of: dict[int, str], inventories: Sequence[HostInventory]) -> None:
        self._counters = counters
        self._host_of = host_of
        self._carried = {
            (inventory.host, port.netdev): port.name
            for inventory in inventories
            for port in inventory.rdma_ports
            if port.netdev is not None
        }
        self._netdev = {(host, name): netdev for (host, netdev), name in self._carried.items()}
        self._known = dict(_known(name) for name in counters["counter"].unique().to_list())

    @cached_property
    def names(self) -> list[tuple[str, str]]:
        """(host, port) of each port, in order of hosts and then of names."""
        rank_of = {host: rank for rank, host in reversed(self._host_of.items())}
        seen = self._counters.select("rank", "counter").unique().iter_rows()
        found = {self._port(rank, known) for rank, counter in seen if (known := self._known[counter]) is not None}
        return sorted(found, key=lambda port: (rank_of[port[0]], port[1]))

    @cached_property
    def netdevs(self) -> tuple[str | None, ...]:
        """The interface of each port."""
        return tuple(self._netdev.get(port, port[1] if self._is_netdev(port) else None) for port in self.names)

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The counters with columns port, meaning, priority, preference, value and is_recognised."""
        number = {port: index for index, port in enumerate(self.names)}
        seen = [
            (rank, counter, number[self._port(rank, known)], known)
            for rank, counter in self._counters.select("rank", "counter").unique().iter_rows()
            if (known := self._known[counter]) is not None
        ]
        facts = pl.DataFrame(
            {
                "rank": [rank for rank, _, _, _ in seen],
                "counter": [counter for _, counter, _, _ in seen],
                "port": [port for _, _, port, _ in seen],
                "meaning": [known.meaning for _, _, _, known in seen],
                "priority": [known.priority for _, _, _, known in seen],
                "scale": [known.scale for _, _, _, known in seen],
                "preference": [known.preference for _, _, _, known in seen],
                "is_recognised": [known.is_recognised for _, _, _, known in seen],
            },
            schema=FACTS,
        )
        joined = self._counters.join(facts, on=["rank", "counter"], how="inner", maintain_order="left")
        return joined.with_columns(value=pl.col("growth").cast(pl.Float64) * pl.col("scale"))

    def host(self, rank: int) -> str:
        """Return the host of a rank."""
        return self._host_of[rank]

    def _port(self, rank: int, known: _Known) -> tuple[str, str]:
        host, key = self._host_of[rank], known.key
        if key.origin is Origin.ETHTOOL:
            return host, self._carried.get((host, key.device), key.device)
        return host, key.place

    def _is_netdev(self, port: tuple[str, str]) -> bool:
        return any(
            known is not None and known.key.origin is Origin.ETHTOOL and known.key.device == port[1]
            for known in self._known.values()
        )


def _known(name: str) -> tuple[str, _Known | None]:
    key = key_of(name)
    counter = None if key is None else counter_of(key.origin, key.name)
    if key is None or counter is None:
        return name, None
    return name, _Known(
        key=key,
        meaning=counter.meaning,
        priority=WITHOUT_PRIORITY if counter.priority is None else counter.priority,
        scale=counter.scale,
        preference=counter.preference,
        is_recognised=counter.is_recognised,
    )


def _quiet(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of windows between readings in which the port moved next to nothing, all of it being counted."""
    between = rows.filter(pl.col("stage") == BETWEEN_READINGS).with_columns(span=pl.lit(Span.QUIET.value))
    # What is counted by priority and for the whole port as well is taken twice, which takes less for quiet.
    moved = between.filter(pl.col("meaning").is_in(TRAFFIC)).group_by("port", *WINDOW, "meaning").agg(
        pl.col("value").sum(), is_known=~pl.col("at_least").any() & pl.col("meaning").first().is_in(WIRE)
    ).group_by("port", *WINDOW).agg(most_bytes=pl.col("value").max(), known=pl.col("is_known").sum())  # fmt: skip
    is_quiet = (pl.col("known") == len(WIRE)) & (8.0 * pl.col("most_bytes") < QUIET_GBPS * pl.col("elapsed_ns"))
    return between.join(moved.filter(is_quiet), on=["port", *WINDOW], how="semi", maintain_order="left")


def _provoked(rows: pl.DataFrame, stages: Sequence[str]) -> pl.DataFrame:
    return rows.filter(pl.col("stage").is_in(list(stages))).with_columns(span=pl.lit(Span.PROVOKED.value))


def _span(rows: pl.DataFrame, ports: int) -> SpanCounts:
    # A port is read in one window a stage; each window's time counts once, however many counters it has.
    windows = rows.select("port", *WINDOW).unique()
    watched = windows.group_by("port").agg(pl.col("elapsed_ns").sum(), pl.len().alias("windows"))
    elapsed_ns = np.full(ports, np.nan)
    elapsed_ns[watched["port"].to_numpy()] = watched["elapsed_ns"].to_numpy()
    elapsed_ns[elapsed_ns == 0] = np.nan  # readings of which nobody knows how far they are apart
    meant = _sums(rows.filter(pl.col("meaning").is_not_null()), watched)
    unrecognised = (
        rows.filter(~pl.col("is_recognised")).group_by("port", "counter").agg(pl.col("value").sum()).sort(
            "port", "counter"
        )
    )  # fmt: skip
    return SpanCounts(
        elapsed_ns=elapsed_ns,
        grown=dict(_totals(meant, ports)),
        by_priority=dict(_by_priority(meant.filter(pl.col("priority") >= 0), ports)),
        at_least=dict(_at_least(meant, ports)),
        unrecognised=tuple((port, name, value) for port, name, value in unrecognised.iter_rows() if value > 0),
    )


def _sums(rows: pl.DataFrame, watched: pl.DataFrame) -> pl.DataFrame:
    """Return the growth of each port by meaning and priority, from its preferred counters over all windows."""
    keys = ["port", "meaning", "priority"]
    preferred = rows.filter(pl.col("preference") == pl.col("preference").min().over(keys))
    by_counter = preferred.group_by(*keys, "counter").agg(
        pl.col("value").sum(), pl.col("at_least").any(), pl.struct(*WINDOW).n_unique().alias("n")
    )
    # A counter that one window lacks (it was reset there) has grown by what the others tell, or more.
    told = by_counter.join(watched.select("port", "windows"), on="port").with_columns(
        at_least=pl.col("at_least") | (pl.col("n") < pl.col("windows"))
    )
    return told.group_by(*keys).agg(pl.col("value").sum(), pl.col("at_least").any())


def _totals(meant: pl.DataFrame, ports: int) -> Iterator[tuple[Meaning, FloatArray]]:
    """Yield what priorities make together or what a driver counts without them, whichever is more.

    Either that is the total, and then the larger; or it is of another kind of the same (pause of the whole port), of
    which a port has one at a time.
    """
    for (meaning,), own in meant.group_by("meaning"):
        total = np.full((2, ports), np.nan)
        for kind, rows in enumerate((pl.col("priority") == WITHOUT_PRIORITY, pl.col("priority") >= 0)):
            together = own.filter(rows).group_by("port", "meaning").agg(_together(pl.col("value")).alias("value"))
            total[kind, together["port"].to_numpy()] = together["value"].to_numpy()
        yield Meaning(str(meaning)), np.fmax(*total)


def _by_priority(meant: pl.DataFrame, ports: int) -> Iterator[tuple[Meaning, FloatArray]]:
    for (meaning,), own in meant.group_by("meaning"):
        values = np.full((ports, PRIORITIES), np.nan)
        values[own["port"].to_numpy(), own["priority"].to_numpy()] = own["value"].to_numpy()
        yield Meaning(str(meaning)), values


def _at_least(meant: pl.DataFrame, ports: int) -> Iterator[tuple[Meaning, NDArray[np.bool_]]]:
    for (meaning,), own in meant.filter(pl.col("at_least")).group_by("meaning"):
        is_more = np.zeros(ports, dtype=np.bool_)
        is_more[own["port"].to_numpy()] = True
        yield Meaning(str(meaning)), is_more


def _pair_counts(rows: pl.DataFrame, pairs: pl.DataFrame, found: _Ports) -> PairCounts:
    """Return the rows of rounds in which a host had one partner: with several nobody knows whose the packets were."""
    partners = _partners(pairs, found)
    meant = rows.filter(pl.col("meaning").is_not_null())
    keys = ["stage", "round_index", "rank", "port"]
    preferred = meant.filter(pl.col("preference") == pl.col("preference").min().over([*keys, "meaning", "priority"]))
    wide = (
        preferred.group_by(*keys, "meaning").agg(pl.max_horizontal(_total_of(False), _total_of(True)).alias("value"))
        .pivot(on="meaning", index=keys, values="value")
        .sort("stage", "round_index", "port")
    )  # fmt: skip
    told = [
        partners.get((stage, round_index, found.host(rank)))
        for stage, round_index, rank in wide.select("stage", "round_index", "rank").iter_rows()
    ]
    kept = wide.filter(pl.Series([each is not None for each in told], dtype=pl.Boolean))
    ends = [each for each in told if each is not None]
    return PairCounts(
        stage=tuple(kept["stage"].to_list()),
        round_index=kept["round_index"].to_numpy(),
        port=kept["port"].to_numpy(),
        peer=tuple(peer for peer, _ in ends),
        is_sender=np.array([is_sender for _, is_sender in ends], dtype=np.bool_),
        grown={
            Meaning(name): kept[name].fill_null(float("nan")).to_numpy() for name in kept.columns if name not in keys
        },
    )


def _total_of(by_priority: bool) -> pl.Expr:
    """Return what is counted by priority, or what is counted without, of all priorities together."""
    return _together(pl.col("value").filter((pl.col("priority") >= 0) == by_priority))


def _together(values: pl.Expr) -> pl.Expr:
    """Return what the values of priorities make together, in groups of one meaning."""
    return pl.when(pl.col("meaning").first().is_in(LASTING)).then(values.max()).otherwise(values.sum())


def _partners(pairs: pl.DataFrame, found: _Ports) -> dict[tuple[str, int, str], tuple[str, bool]]:
    """Return the one partner of each host in each round, and whether the host sent to it."""
    between = pairs.filter(pl.col("scope") == Scope.BETWEEN_HOSTS)
    both_ways = {probe.id for probe in probes().values() if not probe.both_directions}
    ends: dict[tuple[str, int, str], dict[str, bool]] = {}
    for stage, index, probe, src, dst in (
        between.select("stage", "round_index", "probe", "src", "dst").unique().iter_rows()
    ):
        for own, peer, sends in ((src, dst, True), (dst, src, probe in both_ways)):
            partners = ends.setdefault((stage, index, found.host(own)), {})
            partners[found.host(peer)] = sends or partners.get(found.host(peer), False)
    return {place: next(iter(partners.items())) for place, partners in ends.items() if len(partners) == 1}
