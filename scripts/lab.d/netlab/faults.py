"""Faults of the network as nftables rules: what each drops, where, and in which direction. Pure.

Rules sit on the switches' ports, in the fabric's namespace: what is lost there is lost silently, as on a cable.
``tx`` is what a host, or a whole leaf, sends; ``rx`` is what it gets.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Self

from netlab.errors import LabError
from netlab.network import trunk_up
from netlab.shape import Shape

_RESOLUTION: Final = 1_000_000
"""Of a loss ratio: one packet in a million."""
_LEAF: Final = re.compile(r"leaf([0-9]+)")
_TABLE_PREFIX: Final = "fault_"


class Kind(StrEnum):
    """What can be wrong, and stays wrong until it is cleared."""

    LOSS = "loss"
    RATE = "rate"
    DELAY = "delay"
    JITTER = "jitter"
    PARTITION = "partition"
    PATH_LOSS = "path-loss"
    CUT = "cut"
    MTU = "mtu"
    PAUSE = "pause-host"
    CPU = "cpu-noise"
    STALL = "stall-rank"


IN_THE_NETWORK: Final = frozenset({Kind.LOSS, Kind.PARTITION, Kind.PATH_LOSS, Kind.CUT, Kind.MTU})
"""Those that are nftables rules."""
OF_QUEUES: Final = frozenset({Kind.RATE, Kind.DELAY, Kind.JITTER})
"""Those that take the place of a port's queue, and so of each other."""
AT_A_PORT: Final = frozenset({Kind.LOSS, *OF_QUEUES})
"""Those that a leaf's trunk can have, too."""


class Direction(StrEnum):
    """Seen from the host, or from the leaf."""

    TX = "tx"
    RX = "rx"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault."""

    kind: Kind
    target: str
    """``h3``; ``leaf2``, its trunk to the spine; or ``h1,h2/h3``, the paths between two groups."""
    direction: Direction = Direction.BOTH
    amount: float | None = None
    """A ratio of packets, bits per second, milliseconds, bytes or processors, as the kind has it."""

    @property
    def table(self) -> str:
        """The name of its nftables table."""
        return _TABLE_PREFIX + hashlib.sha256(f"{self.kind} {self.target} {self.direction}".encode()).hexdigest()[:10]

    def replaces(self, other: "Fault") -> bool:
        """Return whether this one takes the other's place: it is the same but for its amount."""
        return (self.kind, self.target, self.direction) == (other.kind, other.target, other.direction)

    def concerns(self, host: str) -> bool:
        """Return whether it is a fault of this host, alone or among others."""
        return host in re.split("[,/]", self.target)

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Return the fault that was written."""
        return cls(
            kind=Kind(fields["kind"]), target=fields["target"], direction=Direction(fields["direction"]),
            amount=fields["amount"],
        )  # fmt: skip

    def __str__(self) -> str:
        amount = "" if self.amount is None else f" {self.amount:g}"
        direction = "" if self.direction is Direction.BOTH else f" {self.direction}"
        return f"{self.kind} {self.target}{direction}{amount}"


def rules(fault: Fault, shape: Shape) -> str:
    """Return the nftables script that puts a fault in place, or in its own place anew."""
    hooks = tuple(_hooks(fault, shape))
    chains = "".join(
        f"  chain c{number} {{\n    type filter hook {hook} device \"{device}\" priority 0; policy accept;\n"
        f"    {match}counter drop\n  }}\n"
        for number, (hook, device, match) in enumerate(hooks)
    )  # fmt: skip
    return f"add table netdev {fault.table}\n{removal(fault)}table netdev {fault.table} {{\n{chains}}}\n"


def removal(fault: Fault) -> str:
    """Return the nftables script that takes a fault away."""
    return f"delete table netdev {fault.table}\n"


def leaf_of(target: str) -> int | None:
    """Return the number of the leaf that a target is; None for a host."""
    match = _LEAF.fullmatch(target)
    return int(match[1]) if match else None


def check_target(target: str, shape: Shape) -> None:
    """Raise LabError when a target is none of this lab's."""
    leaf = leaf_of(target)
    if leaf is not None:
        shape.on_leaf(leaf)
        return
    named = re.split("[,/]", target)
    for name in named:
        if shape.host(name).leaf is None:
            raise LabError(f"{name} is not on the fabric, and has no faults", remedy="h1 and those after it")
    if len(named) != len(set(named)):
        raise LabError(f"{target} names a host twice", remedy="groups that share no host")


def _hooks(fault: Fault, shape: Shape) -> Iterator[tuple[str, str, str]]:
    """Yield (hook, device, what it matches); everything when it matches nothing in particular."""
    match fault.kind:
        case Kind.LOSS:
            yield from _at_port(fault, shape, _by_chance(fault.amount))
        case Kind.MTU:
            # By the length in the packet itself: ingress counts no Ethernet header, egress does.
            yield from _at_port(fault, shape, f"ip length > {int(fault.amount or 0)} ")
        case Kind.CUT:
            port, management = shape.host(fault.target).data_port, shape.host(fault.target).management_port
            yield from ((hook, device, "") for device in (port, management) for hook in ("ingress", "egress"))
        case Kind.PARTITION:
            yield from _between(fault, shape, "")
        case Kind.PATH_LOSS:
            yield from _between(fault, shape, _by_chance(fault.amount))
        case _:
            raise AssertionError(fault.kind)


def _by_chance(ratio: float | None) -> str:
    lost = round((ratio or 0) * _RESOLUTION)
    return "" if lost >= _RESOLUTION else f"numgen random mod {_RESOLUTION} < {lost} "  # nft refuses what always holds


def _at_port(fault: Fault, shape: Shape, match: str) -> Iterator[tuple[str, str, str]]:
    """Yield the hooks of a host's port, where it sends into the switch, or of a leaf's trunk, where the leaf sends."""
    leaf = leaf_of(fault.target)
    device = shape.host(fault.target).data_port if leaf is None else trunk_up(leaf)
    hook_of = {Direction.TX: "ingress", Direction.RX: "egress"}
    if leaf is not None:
        hook_of = {Direction.TX: "egress", Direction.RX: "ingress"}
    for direction, hook in hook_of.items():
        if fault.direction in (direction, Direction.BOTH):
            yield hook, device, match


def _between(fault: Fault, shape: Shape, match: str) -> Iterator[tuple[str, str, str]]:
    """Yield the hooks of the paths between two groups; each packet meets one of them, on its way into its leaf."""
    near, far = (group.split(",") for group in fault.target.split("/"))
    ways = {Direction.TX: (near, far), Direction.RX: (far, near)}
    for direction, (senders, receivers) in ways.items():
        if fault.direction in (direction, Direction.BOTH):
            addresses = ", ".join(shape.host(name).data_address for name in receivers)
            for name in senders:
                yield "ingress", shape.host(name).data_port, f"ip daddr {{ {addresses} }} {match}"
