"""What ``dcb -j`` prints of an interface: pfc, ets, app, apptrust and buffer, one object each.

https://man7.org/linux/man-pages/man8/dcb.8.html
"""

from typing import Final

from netprobe.ingest.qos_draft import Draft
from netprobe.model.inventory import PRIORITIES

LARGEST_DSCP: Final = 63
LARGEST_BUFFER_BYTES: Final = (1 << 32) - 1
MARKS: Final = frozenset({"prio_pfc", "tc_bw", "tc_tsa", "prio_tc", "dscp_prio", "order", "prio_buffer", "buffer_size"})
"""Keys that tell that an object is one of dcb's."""


def tell(draft: Draft, told: dict[str, object]) -> bool:
    """Note what an object says; False when some of it is not as it should be."""
    for key in ("ifname", "dev"):
        name = told.get(key)
        draft.netdev = name if isinstance(name, str) else draft.netdev
    known = [
        _tell_list(draft, "pfc_enabled", told, "prio_pfc", 1),
        _tell_list(draft, "priority_to_buffer", told, "prio_buffer", PRIORITIES - 1),
        _tell_list(draft, "buffer_bytes", told, "buffer_size", LARGEST_BUFFER_BYTES),
        _tell_classes(draft, told),
        _tell_mapping(draft, told),
        _tell_trust(draft, told),
    ]
    return all(known)


def _numbers(value: object, most: int) -> tuple[int, ...] | None:
    """Return eight numbers up to ``most`` (true and false are 1 and 0); None for anything else."""
    if not isinstance(value, list) or len(value) != PRIORITIES:
        return None
    numbers = tuple(int(each) for each in value if isinstance(each, int) and 0 <= each <= most)
    return numbers if len(numbers) == PRIORITIES else None


def _tell_list(draft: Draft, name: str, told: dict[str, object], key: str, most: int) -> bool:
    if key not in told:
        return True
    numbers = _numbers(told[key], most)
    return numbers is not None and draft.tell(name, numbers)


def _tell_classes(draft: Draft, told: dict[str, object]) -> bool:
    is_whole = True
    if "prio_tc" in told:
        classes = _numbers(told["prio_tc"], PRIORITIES - 1)
        is_whole = classes is not None
        draft.class_of.update(enumerate(classes or ()))
    if "tc_tsa" in told or "tc_bw" in told:
        bandwidth, algorithm = _numbers(told.get("tc_bw"), 100), told.get("tc_tsa")
        if bandwidth is None or not isinstance(algorithm, list) or len(algorithm) != PRIORITIES:
            return False
        draft.classes.update(enumerate(zip(map(str, algorithm), bandwidth, strict=True)))
    return is_whole


def _tell_mapping(draft: Draft, told: dict[str, object]) -> bool:
    if "dscp_prio" not in told:
        return True
    table = told["dscp_prio"]
    pairs = [_pair(entry) for entry in table] if isinstance(table, list) else [None]
    draft.dscp_to_priority.update(pair for pair in pairs if pair is not None)
    if not pairs and draft.trust is None:
        draft.trust = "pcp"  # what drivers do while no DSCP is mapped
    return None not in pairs


def _pair(entry: object) -> tuple[int, int] | None:
    match entry:
        case [int(dscp), int(priority)] if 0 <= dscp <= LARGEST_DSCP and 0 <= priority < PRIORITIES:
            return dscp, priority
    return None


def _tell_trust(draft: Draft, told: dict[str, object]) -> bool:
    if "order" not in told:
        return True
    order = told["order"]
    if not isinstance(order, list) or not all(isinstance(each, str) for each in order):
        return False
    if order:
        draft.trust = "dscp" if "dscp" in order else "pcp"
    return True
