"""Flows between threads: the same protocol as kernels/host/flows.c, by looking at each mailbox in turn."""

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from netprobe.contracts import FlowLoad, Stamps

LOOK_AGAIN_S: Final = 5e-5  # of a rank all of whose flows wait for others
GO, STOP = "go", "stop"


@dataclass(kw_only=True)
class LoopbackFlows:
    """All flows of one rank, until their receivers have stopped them."""

    load: FlowLoad
    clock: Callable[[], int]
    send: Callable[[int, str, int, int], None]
    """Send the bytes at an address to a peer: (peer, kind, address, size)."""
    answer: Callable[[int, str, object], None]
    take: Callable[[int, str], Any]
    """Return what a peer sent, by kind; None where nothing has come."""
    _stamps: dict[int, list[int]] = field(default_factory=dict)
    _came: dict[int, int] = field(default_factory=dict)
    """Messages by sender, of those that are not done."""

    def run(self) -> tuple[Stamps, ...]:
        """Carry them; return the stamps of each flow in."""
        deadline_ns = self.clock() + self.load.duration_ns
        self._stamps = {peer: [self.clock()] for peer in self.load.receives_from}
        self._came = dict.fromkeys(self.load.receives_from, 0)
        out = set(self.load.sends_to)
        for peer in self.load.sends_to:
            self._window(peer)
        while out or self._came:
            sent = [peer for peer in tuple(out) if self._sent(peer, out)]
            came = [peer for peer in tuple(self._came) if self._received(peer, deadline_ns)]
            if not sent and not came:
                time.sleep(LOOK_AGAIN_S)
        return tuple(np.array(self._stamps[peer], dtype=np.int64) for peer in self.load.receives_from)

    def _window(self, peer: int) -> None:
        for _ in range(self.load.window):
            self.send(peer, "flow", self.load.send, self.load.size_bytes)

    def _sent(self, peer: int, out: set[int]) -> bool:
        """Go on with a flow out where it was answered; return whether it was."""
        answer = self.take(peer, "flow-answer")
        if answer == GO:
            self._window(peer)
        elif answer == STOP:
            out.discard(peer)
        return answer is not None

    def _received(self, peer: int, deadline_ns: int) -> bool:
        """Take a message of a flow in, and answer its window where that is whole; return whether one came."""
        payload = self.take(peer, "flow")
        if payload is None:
            return False
        place = self.load.receives_from.index(peer) * self.load.size_bytes
        ctypes.memmove(self.load.receive + place, payload, len(payload))
        self._came[peer] += 1
        if self._came[peer] % self.load.window == 0:
            self._stamps[peer].append(self.clock())
            is_over = self._stamps[peer][-1] >= deadline_ns
            self.answer(peer, "flow-answer", STOP if is_over else GO)
            if is_over:
                del self._came[peer]
        return True
