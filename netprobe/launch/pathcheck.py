"""Do packets from this host arrive at others, small ones and those of a whole MTU? Run on a host by the roll call.

Nothing has to listen: a datagram to a closed port is answered by the other kernel with "port unreachable", and that
answer is small whatever was sent, so a packet of a whole MTU tests the way there alone.

Does not handle: networks that filter UDP or ICMP; there no path answers, and the silence of one says nothing.
"""

import errno
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from netprobe.model.standing import PathAnswer
from netprobe.store.encoding import json_line

PORT: Final = 33_434  # where traceroute begins: nobody listens there, and firewalls let it be refused
TRIES_S: Final = (0.0, 0.4, 0.9)  # kernels answer six times in a burst, then once a second
WAIT_S: Final = 1.6
_IP_MTU_DISCOVER: Final = 10  # linux/in.h; socket has no name for it in 3.11
_PROBE: Final = 3  # do not fragment, and ask no cache what the path takes
_HEADERS_BYTES: Final = 28  # IPv4 and UDP


class Target(msgspec.Struct, frozen=True):
    """Another host's address to try."""

    src: str
    """This host, as the launcher calls it."""
    dst: str
    address: str
    network: str


@dataclass
class _Attempt:
    target: Target
    socket: socket.socket
    payload: bytes
    is_full: bool
    is_answered: bool = False


def answers_of(targets: Sequence[Target], mtus: dict[str, tuple[str, int]]) -> tuple[PathAnswer, ...]:
    """Send to all targets at once; ``mtus`` holds the interface and MTU of each local address."""
    attempts = [each for target in targets for each in _attempts(target, mtus)]
    try:
        _exchange(attempts)
        return tuple(_answer(target, attempts, mtus) for target in targets)
    finally:
        for attempt in attempts:
            attempt.socket.close()


def _attempts(target: Target, mtus: dict[str, tuple[str, int]]) -> list[_Attempt]:
    attempts = []
    for is_full in (False, True):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setblocking(False)
        try:
            sender.connect((target.address, PORT))
            sender.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PROBE)
            mtu_bytes = mtus.get(sender.getsockname()[0], ("", 0))[1]
        except OSError:  # no route: as silent as a path can be
            sender.close()
            continue
        if is_full and mtu_bytes <= _HEADERS_BYTES:
            sender.close()
            continue
        payload = bytes(mtu_bytes - _HEADERS_BYTES) if is_full else b"\0"
        attempts.append(_Attempt(target=target, socket=sender, payload=payload, is_full=is_full))
    return attempts


def _exchange(attempts: list[_Attempt]) -> None:
    started = time.monotonic()
    due = list(TRIES_S)
    with selectors.DefaultSelector() as selector:
        for attempt in attempts:
            selector.register(attempt.socket, selectors.EVENT_READ, attempt)
        while (elapsed := time.monotonic() - started) < WAIT_S and not all(each.is_answered for each in attempts):
            if due and elapsed >= due[0]:
                due.pop(0)
                _send([each for each in attempts if not each.is_answered])
            for key, _ in selector.select(max(0.0, (due[0] if due else WAIT_S) - (time.monotonic() - started))):
                _hear(key.data)


def _send(attempts: list[_Attempt]) -> None:
    for attempt in attempts:
        try:
            attempt.socket.send(attempt.payload)
        except ConnectionRefusedError:  # the answer to the one before
            attempt.is_answered = True
        except OSError:  # no route, no buffer, too large for the interface: nothing left this host
            continue


def _hear(attempt: _Attempt) -> None:
    try:
        attempt.socket.recv(1)
    except OSError as error:
        attempt.is_answered |= error.errno == errno.ECONNREFUSED
    else:
        attempt.is_answered = True  # somebody listens there after all


def _answer(target: Target, attempts: list[_Attempt], mtus: dict[str, tuple[str, int]]) -> PathAnswer:
    own = [each for each in attempts if each.target is target]
    local = ""
    with suppress(OSError, IndexError):
        local = own[0].socket.getsockname()[0]
    interface, mtu_bytes = mtus.get(local, ("", 0))
    full = [each.is_answered for each in own if each.is_full]
    return PathAnswer(
        src=target.src,
        dst=target.dst,
        interface=interface,
        network=target.network,
        mtu_bytes=mtu_bytes,
        small=any(each.is_answered for each in own if not each.is_full),
        full=full[0] if full else None,
    )


def main(targets: str) -> None:
    """Print the answers for targets given as JSON."""
    from netprobe.telemetry._addresses import interfaces

    mtus = {each.address: (each.name, each.mtu_bytes) for each in interfaces()}
    found = answers_of(msgspec.json.decode(targets, type=list[Target]), mtus)
    sys.stdout.buffer.write(json_line(found) + b"\n")
