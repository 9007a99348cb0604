"""What NIC drivers count of pauses, discards and damage, second by second while bursts run.

Of drivers alone that ask the NIC whenever they are asked: of one that keeps old values for a while, what it tells now
may have been a second ago. Names are those of the source ``ethtool``, which reads the same over whole stages.
"""

from collections.abc import Mapping
from typing import Final

from netprobe.catalogue.counter import Behaviour, Weight
from netprobe.catalogue.keys import CounterKey, Origin
from netprobe.catalogue.lookup import counter_of
from netprobe.contracts import Source, System
from netprobe.model.meaning import Meaning
from netprobe.system.files import LARGEST_COUNT
from netprobe.telemetry.ethtool import PROMPT_DRIVERS, driver_of, interfaces_of

PAUSES: Final = frozenset({
    Meaning.PAUSE_SENT, Meaning.PAUSE_SENT_TIME, Meaning.PAUSE_RECEIVED, Meaning.PAUSE_RECEIVED_TIME,
})  # fmt: skip


def read(system: System) -> Mapping[str, int]:
    """Return the signs of trouble and the pauses of all interfaces that answer at once."""
    return {
        str(CounterKey(origin=Origin.ETHTOOL, device=netdev, port=1, name=name)): value
        for netdev in interfaces_of(system)
        if driver_of(system.root / "sys/class/net" / netdev) in PROMPT_DRIVERS
        for name, value in system.netlink.statistics(netdev).items()
        if value <= LARGEST_COUNT and is_sign(name)
    }


def is_sign(name: str) -> bool:
    """Return whether a counter's growth in some second says why messages were late in it."""
    counter = counter_of(Origin.ETHTOOL, name)
    if counter is None or not counter.is_recognised or counter.behaviour in (Behaviour.GAUGE, Behaviour.SETTING):
        return False
    return counter.weight in (Weight.FAIL, Weight.WARN) or counter.meaning in PAUSES


SOURCE = Source(
    id="ethtool-by-second",
    title="pauses, discards and damage that NIC drivers count, second by second",
    is_per_host=True,
    read=read,
    in_rounds=False,
    in_seconds=True,
)
