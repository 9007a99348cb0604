"""Two ranks that go on with each other only as long as it goes well at both ends."""

from collections.abc import Callable
from typing import Final, TypeVar

from netprobe.contracts import Control
from netprobe.errors import PairError
from netprobe.model.rdma import Breakdown, FailurePhase
from netprobe.transports._verbs_engine import Broken

T = TypeVar("T")

FLUSHED: Final = "WR_FLUSH_ERR"  # a consequence of what came before


class Agreement:
    """One rank's half of it; ``messages`` have gone well with the peer it has now."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self.peer = -1
        self.messages = 0

    def meet(self, peer: int) -> None:
        """Begin with another peer, or anew with the same."""
        self.peer, self.messages = peer, 0

    def both(self, action: Callable[[], T]) -> T:
        """Do something at both ends; PairError at both where it failed at either."""
        result: T | None = None
        own: Breakdown | None = None
        try:
            result = action()
        except Broken as broken:
            own = self._breakdown(broken)
        theirs = self._control.swap(self.peer, own)
        cause = _more_telling(own, theirs)
        if cause is not None:
            raise PairError(f"ranks {self._control.rank} and {self.peer}: {cause.call} failed", cause)
        return result  # type: ignore[return-value]  # an action that returned

    def _breakdown(self, broken: Broken) -> Breakdown:
        done = self.messages + broken.messages
        setting_up = broken.call != "ibv_poll_cq" and not done
        phase = FailurePhase.SET_UP if setting_up else FailurePhase.LATER if done else FailurePhase.FIRST_MESSAGE
        return Breakdown(
            rank=self._control.rank,
            phase=phase,
            call=broken.call,
            status=broken.status,
            vendor_error=broken.vendor_error,
            error=broken.error,
            after_messages=done,
            waited_ns=broken.waited_ns,
        )


def _more_telling(own: Breakdown | None, theirs: Breakdown | None) -> Breakdown | None:
    """Return the cause rather than its consequences: who saw an error, not who waited for what never came."""
    both = [each for each in (own, theirs) if each is not None]
    # Ranks break ties, so that both ends say the same.
    return min(both, key=lambda each: (each.status == FLUSHED, _merely_waited(each), each.rank), default=None)


def _merely_waited(each: Breakdown) -> bool:
    return each.status is None and each.error is None
