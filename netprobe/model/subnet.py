"""The links of an InfiniBand subnet, as its tools list them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetEnd:
    """One end of a link; LID and port are unique in a subnet."""

    name: str
    """The node's description: ``node17 mlx5_0``, ``leaf3``."""
    is_switch: bool
    lid: int
    port: int

    @property
    def subject(self) -> str:
        """What reports call it: a switch with its port, a host's device with its port where it is not the first."""
        if self.is_switch:
            return f"{self.name} {self.port}"
        return self.name if self.port == 1 else f"{self.name}/{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetLink:
    """A link that is up, with the width and speed at which it trained."""

    ends: tuple[SubnetEnd, SubnetEnd]
    """By LID and port: each end lists the same link."""
    width: int
    """Lanes."""
    speed: str | None
    """Of a lane, as people call it: ``EDR``; None where it is not told."""
    lane_gbps: float | None
    could_be: str | None = None
    """What both ends could do and the link does not, as iblinkinfo says."""

    @property
    def shown(self) -> str:
        """``4X EDR``."""
        return f"{self.width}X {self.speed or 'of unknown speed'}"
