"""How much a verdict can rest on: whom hosts met, and the smallest loss that would have shown."""

from dataclasses import dataclass
from typing import Final

EVENTS_EXCLUDED: Final = 3.0
"""The rule of three: where n packets lost none, a loss of more than 3 / n is excluded at 95 % (Hanley 1983)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """Of a plan before it starts, or of what was measured; between hosts alone."""

    hosts: int
    partners: int
    """Distinct other hosts that a host meets: of the host with the fewest."""
    host_pairs: int
    """Distinct pairs of hosts, in whatever direction."""
    bad_hosts: int
    false_blame: float
    """The largest probability that a good host meets nobody but bad ones, where so many are bad."""
    packets: int | None = None
    """That a host (planned: a NIC at line rate) sends to others, the one with the fewest; None: nobody can tell."""

    @property
    def host_pairs_of_all(self) -> int:
        """How many pairs of hosts there are."""
        return self.hosts * (self.hosts - 1) // 2

    @property
    def loss_ratio(self) -> float | None:
        """The smallest share of lost packets that is excluded at 95 % where none is seen; None: nobody can tell."""
        return EVENTS_EXCLUDED / self.packets if self.packets else None
