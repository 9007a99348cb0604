"""How hosts are joined: the leaf switches that their NICs are connected to, and the spines above."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A leaf switch, and what is connected to it."""

    switch: str
    hosts: str
    """NodeSet syntax, as in node[01-16]: it travels in one word, and a site may have 10,000 hosts."""
    rail: int | None = None
    """Which NIC of each of these hosts is connected here, counted from 0, which is that of the ranks of the same place
    on the host; None: all of them are."""
    spines: tuple[str, ...] = ()
    """The switches that its uplinks lead to; empty: not told."""
    uplinks: int | None = None
    """Links to each of ``spines``; None: not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What is known of a fabric; a host that is on no leaf is connected somewhere that nobody told."""

    leaves: tuple[Leaf, ...] = ()
