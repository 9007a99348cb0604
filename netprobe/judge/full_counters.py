"""Counters that stood at their largest value before a window began: what they counted in it is not known, never 0."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from netprobe.catalogue.keys import key_of
from netprobe.catalogue.readings import saturated
from netprobe.catalogue.resetting import reset_remedy
from netprobe.detectors._words import listed
from netprobe.judge.growths import TROUBLE, known_counter
from netprobe.model.finding import Gap
from netprobe.model.snapshot import Reading

TOPIC: Final = "counters"


def full_gaps(host: str, readings: Sequence[Reading]) -> Iterator[Gap]:
    """Yield a gap for each port of a host that has such counters; one that filled up in the last window counted it.

    It undermines where no other counter of trouble of the port counts: nobody looked at it then.
    """
    full = dict.fromkeys(name for before in readings[:-1] for name in saturated(before.values))
    telling = {known[0].place for before in readings[:-1] for name in before.values
               if name not in full and (known := known_counter(name, TROUBLE)) is not None}  # fmt: skip
    keys = sorted((key for key in map(key_of, full) if key is not None), key=lambda key: key.place)
    for place, own in groupby(keys, key=lambda key: key.place):
        of_port = tuple(own)
        yield Gap(
            topic=TOPIC,
            reason=f"{host} {place}: saturated: {listed(key.name for key in of_port)}: at the largest value that can "
            "be shown, so what was counted between the readings is not known",
            remedy=reset_remedy(of_port),
            undermines=place not in telling,
        )
