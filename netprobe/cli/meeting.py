"""What is said on standard error when ranks first meet, before anything is measured."""

from collections.abc import Callable, Iterable

from netprobe.cli.streams import tell
from netprobe.contracts import Sink
from netprobe.model.record import RanksReady, Record


class MeetingSink:
    """A Sink that says lines once, as soon as it is known who met, and hands every record on."""

    def __init__(
        self, onward: Sink, *says: Callable[[RanksReady], Iterable[str]], remark: Callable[[str], None] = tell
    ) -> None:
        self._onward = onward
        self._says = says
        self._remark = remark
        self._has_told = False

    def emit(self, record: Record) -> None:
        """Hand on first: the lines may find no reader."""
        self._onward.emit(record)
        if isinstance(record, RanksReady) and not self._has_told:
            self._has_told = True
            for line in (each for say in self._says for each in say(record)):
                self._remark(f"netprobe: {line}")
