"""Whom a topology has left out: said once, as soon as the hosts' own names are known."""

from netprobe.cli.streams import tell
from netprobe.contracts import Sink
from netprobe.launch.hosts import folded
from netprobe.model.record import RanksReady, Record


class PlacingSink:
    """A Sink that names the hosts without a leaf when ranks first meet, and hands every record on."""

    def __init__(self, onward: Sink) -> None:
        self._onward = onward
        self._has_told = False

    def emit(self, record: Record) -> None:
        """Hand on first: the warning may find no reader."""
        self._onward.emit(record)
        if isinstance(record, RanksReady) and not self._has_told:
            self._has_told = True
            found = {rank.host for rank in record.ranks if rank.leaf is not None}
            missing = {rank.host for rank in record.ranks} - found
            if missing:
                tell(f"netprobe: --topology says nothing of {folded(missing)}: their leaf switches are unknown")
            partly = {rank.host for rank in record.ranks if rank.leaf is None} - missing
            if partly:
                tell(f"netprobe: --topology has fewer rails than ranks on {folded(partly)}: leaf switches are unknown")
