"""Unreliable datagrams between two ranks (UD): what is lost stays lost, and each end knows what came."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np

from netprobe.contracts import Control, Flights, Stamps
from netprobe.errors import TransportError, UnavailableError
from netprobe.model.plan import Stage
from netprobe.model.rdma import RdmaEndpoint, RdmaOptions
from netprobe.transports._agreement import Agreement
from netprobe.transports._verbs_engine import (
    Broken,
    Counted,
    DatagramFacts,
    EngineDatagrams,
    EngineDevice,
    NicClock,
    NoDatagrams,
)
from netprobe.transports._wire_time import Spans, spans_of

NOTHING: Final[Stamps] = np.zeros(0, dtype=np.int64)
NO_SPANS: Final = Spans(wire_ns=NOTHING, responding_ns=NOTHING, probing_ns=NOTHING)


class VerbsDatagrams:
    """contracts.Datagrams; every rank with an endpoint constructs it."""

    def __init__(
        self,
        control: Control,
        endpoint: RdmaEndpoint,
        device: EngineDevice,
        step: Callable[[], None] = lambda: None,
    ) -> None:
        """Work on an open device; ``step`` is called before each series."""
        self._control = control
        self._endpoint = endpoint
        self._device = device
        self._step = step
        self._pair = Agreement(control)
        self._own: EngineDatagrams | None = None
        self._series = 0
        self._clocks: tuple[NicClock | None, NicClock | None] = (None, None)

    def meet(self, stage: Stage, peer: int) -> int:
        """See contracts.Datagrams."""
        self._pair.meet(peer)
        self._series = 0
        options = stage.rdma or RdmaOptions()
        facts = self._pair.both(self._facts)
        theirs = self._control.swap(peer, facts)
        for each in (facts, theirs):
            if isinstance(each, str):
                raise UnavailableError(each)
        assert isinstance(facts, DatagramFacts) and isinstance(theirs, DatagramFacts)
        own = self._own
        assert own is not None
        self._pair.both(lambda: own.join(theirs, options))
        self._clocks = facts.clock, theirs.clock
        return min(facts.largest_bytes, theirs.largest_bytes, options.path_mtu_bytes or facts.largest_bytes)

    def series(self, *, initiates: bool, size_bytes: int, most: int, budget_ns: int) -> Flights:
        """See contracts.Datagrams."""
        own = self._own
        if own is None:
            raise TransportError(f"rank {self._control.rank} has nobody to send datagrams to")
        self._step()
        self._series += 1
        series = self._series
        self._control.swap(self._pair.peer, None)  # who answers has to be there
        counted = self._pair.both(
            lambda: (
                own.ping(series, size_bytes=size_bytes, most=most, budget_ns=budget_ns)
                if initiates
                else own.echo(series, size_bytes=size_bytes, most=most)
            )
        )
        self._pair.messages += counted.received
        spans = self._spans(counted, initiates=initiates)
        return Flights(
            sent=counted.sent,
            received=counted.received,
            late=counted.late,
            is_stamped=self._clocks[0] is not None,
            round_trips_ns=counted.round_trips_ns[counted.round_trips_ns > 0],
            wire_ns=spans.wire_ns,
            responding_ns=spans.responding_ns,
            probing_ns=spans.probing_ns,
        )

    def part(self) -> None:
        """See contracts.Datagrams."""
        own, self._own = self._own, None
        with suppress(Broken):
            if own is not None:
                own.close()

    def _facts(self) -> DatagramFacts | str:
        """Make the queue pair; return what the peer must know, or why there is none."""
        try:
            self._own = self._device.datagrams(self._endpoint)
        except NoDatagrams as missing:
            return str(missing)
        return self._own.facts

    def _spans(self, counted: Counted, *, initiates: bool) -> Spans:
        """Bring the stamps of both ends together, where both NICs have them; the initiator's spans count."""
        own, theirs = self._clocks
        if own is None or theirs is None:
            return NO_SPANS
        echoes = self._control.swap(self._pair.peer, None if initiates else counted)
        return spans_of(counted, own, echoes, theirs) if echoes is not None else NO_SPANS
