"""The system that this process runs on, and systems of which only files are known."""

from collections.abc import Collection, Mapping
from pathlib import Path

from netprobe.contracts import LinkSettings, System
from netprobe.model.inventory import QosSettings
from netprobe.system.addresses import addresses_here
from netprobe.system.netlink import KernelNetlink
from netprobe.system.nvml import nvml_here


class NoNetlink:
    """A system whose interfaces tell nothing over sockets: a tree of files that was recorded elsewhere."""

    def statistics(self, netdev: str) -> Mapping[str, int]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def link(self, netdev: str) -> LinkSettings:  # noqa: ARG002
        """Return that nothing is known."""
        return LinkSettings()

    def qos(self, netdev: str) -> QosSettings | None:  # noqa: ARG002
        """Return that nothing is known."""
        return None


def recorded_system(root: Path, *, excluded: Collection[str] = ()) -> System:
    """Return a system of which only files are known."""
    return System(root=root, netlink=NoNetlink(), excluded=frozenset(excluded))


def this_system(*, excluded: Collection[str] = ()) -> System:
    """Return the system that this process runs on."""
    return System(
        root=Path("/"),
        netlink=KernelNetlink(),
        excluded=frozenset(excluded),
        addresses=addresses_here,
        gpus=nvml_here(Path("/")),
    )
