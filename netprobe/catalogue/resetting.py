"""How counters that stand at their largest value are made to count again; netprobe never does that itself."""

import re
import shlex
from collections.abc import Iterable
from typing import Final

from netprobe.catalogue.keys import CounterKey

OF_SUBNET: Final = re.compile(r"lid(\d{1,5})")
"""A port that perfquery read by its LID (ingest.counters_text)."""
OMNI_PATH: Final = re.compile(r"hfi1_(\d{1,3})")
"""Omni-Path has a tool of its own, which counts devices from 1 and takes ports as a mask."""
OTHERWISE: Final = "where a port refuses that (RoCE), a new start of its driver"


def reset_remedy(keys: Iterable[CounterKey]) -> str:
    """Return the commands that set counters of these ports back, each once, on the host that has them."""
    return "; ".join((*dict.fromkeys(map(_command, keys)), OTHERWISE))


def _command(key: CounterKey) -> str:
    if lid := OF_SUBNET.fullmatch(key.device):
        return f"perfquery -R {lid[1]} {key.port}"
    if hfi := OMNI_PATH.fullmatch(key.device):
        return f"opapmaquery -h {int(hfi[1]) + 1} -o clearportstatus -n {1 << min(key.port, 255):#x}"
    return shlex.join(("perfquery", "-R", "-C", key.device, "-P", f"{key.port}"))
