"""Put a fault in place, and take it away: rules, rates, signals and groups, each on what the lab alone owns."""

import json
import signal
from collections.abc import Sequence
from typing import Final

from netlab import groups, kernel
from netlab.commands import in_network, nft
from netlab.errors import LabError
from netlab.faults import IN_THE_NETWORK, OF_QUEUES, Direction, Fault, Kind, leaf_of, removal, rules
from netlab.network import set_delay, set_rate, trunk_down, trunk_up
from netlab.processes import Held, ranks_of, send_to_all
from netlab.shape import DATA_DEVICE
from netlab.state import State

OF_PROCESSES: Final = frozenset({Kind.PAUSE, Kind.STALL})
"""Faults that ``resume`` ends."""


def apply(state: State, fault: Fault) -> None:
    """Put a fault in place, or in its own place anew."""
    if fault.kind in IN_THE_NETWORK:
        nft(state.fabric, rules(fault, state.shape))
    elif fault.kind in OF_QUEUES:
        _queue(state, fault)
    elif fault.kind is Kind.CPU:
        state.holder(fault.target)
        groups.set_share(state.name, fault.target, fault.amount)
    elif fault.kind is Kind.PAUSE:
        send_to_all(state.holder(fault.target), signal.SIGSTOP)
    else:
        _stall(state, fault.target)


def lift(state: State, fault: Fault) -> None:
    """Take a fault away; a host that is down has none."""
    if fault.kind in IN_THE_NETWORK:
        nft(state.fabric, f"add table netdev {fault.table}\n{removal(fault)}")
        return
    if fault.kind in OF_QUEUES:
        for held, device in _queues(state, fault):
            set_rate(held, device, None if leaf_of(fault.target) else state.shape.rate_bps, state.shape)
    elif not state.holders[fault.target].is_alive:
        return
    elif fault.kind is Kind.CPU:
        groups.set_share(state.name, fault.target, None)
    elif fault.kind is Kind.PAUSE:
        send_to_all(state.holder(fault.target), signal.SIGCONT)
    else:
        groups.thaw(state.name, fault.target)


def reapply(state: State, faults: Sequence[Fault], hosts: Sequence[str]) -> None:
    """Put the rules that concern hosts with new cables in place again: the old ones went with the old cables."""
    for fault in faults:
        if fault.kind in IN_THE_NETWORK and any(fault.concerns(host) for host in hosts):
            apply(state, fault)


def taken_packets(state: State, fault: Fault) -> int | None:
    """Return how many packets a fault has dropped; None for one that drops none."""
    if fault.kind not in IN_THE_NETWORK:
        return None
    listed = json.loads(in_network(state.fabric, ("nft", "-j", "list", "table", "netdev", fault.table)))
    expressions = [each for entry in listed["nftables"] for each in entry.get("rule", {}).get("expr", ())]
    return sum(int(each["counter"]["packets"]) for each in expressions if "counter" in each)


def _queue(state: State, fault: Fault) -> None:
    if fault.kind is not Kind.RATE:
        kernel.require_netem()
    for held, device in _queues(state, fault):
        if fault.kind is Kind.RATE:
            set_rate(held, device, int(fault.amount or 0), state.shape)
        else:
            set_delay(held, device, fault.amount or 0, is_jitter=fault.kind is Kind.JITTER, shape=state.shape)


def _queues(state: State, fault: Fault) -> list[tuple[Held, str]]:
    """Return the devices where a fault of queues sits; none on a host that is down."""
    senders = _senders(state, fault.target).items()
    return [where for way, where in senders if fault.direction in (way, Direction.BOTH) and where[0].is_alive]


def _senders(state: State, target: str) -> dict[Direction, tuple[Held, str]]:
    """Return the device that sends in each direction: a limit acts where a packet waits to be sent."""
    leaf = leaf_of(target)
    if leaf is not None:
        return {Direction.TX: (state.fabric, trunk_up(leaf)), Direction.RX: (state.fabric, trunk_down(leaf))}
    host = state.shape.host(target)
    return {Direction.TX: (state.holders[target], DATA_DEVICE), Direction.RX: (state.fabric, host.data_port)}


def _stall(state: State, host: str) -> None:
    ranks = ranks_of(state.holder(host))
    if not ranks:
        raise LabError(f"no rank of netprobe runs on {host}", remedy="lab run -- netprobe check --hosts …")
    try:
        groups.stall(state.name, host, ranks[0])
    except ProcessLookupError:
        raise LabError(f"the rank on {host} ended before it was frozen", remedy="the same again") from None
