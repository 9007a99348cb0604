"""Counters of OpenConfig as gNMI notifications in JSON: what gnmic prints, and the protocol's own JSON form.

https://github.com/openconfig/public (openconfig-interfaces, openconfig-qos). PFC has no path there: vendors add theirs.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from netprobe.ingest.switch_counts import Reading, number

Path = tuple[tuple[str, str | None], ...]
"""(name, key) of each element."""

ELEMENT: Final = re.compile(r"([^/\[\]]+)(?:\[[^=\]]+=((?:[^\]\\]|\\.)*)\])?")
LAST_DIGIT: Final = re.compile(r"(?:.*\D)?([0-7])")
PORT_FIELDS: Final = {
    "in-crc-errors": "rx_damaged",
    "in-fcs-errors": "rx_damaged",
    "in-errors": "rx_errors",
    "out-errors": "tx_errors",
    "in-discards": "drops",
    "out-discards": "drops",
    "in-mac-pause-frames": "rx_pfc",
    "out-mac-pause-frames": "tx_pfc",
    "fec-uncorrectable-blocks": "fec_uncorrectable",
}
QUEUE_FIELDS: Final = {"dropped-pkts": "drops", "ecn-marked-pkts": "ecn_marked"}
INNER: Final = frozenset({"queues", "subinterface"})
"""Parts of a port whose counters are not those of the port."""
VALUES: Final = ("uintVal", "uint_val", "intVal", "int_val", "stringVal", "string_val", "jsonIetfVal", "json_ietf_val")
COUNTED: Final = frozenset({"counters", "queues", "queue"})
"""Containers whose numbers are counters."""
MOST_DEPTH: Final = 20


def is_ours(told: Mapping[str, object]) -> bool:
    """Return whether an object is a notification, or holds some."""
    return any(key in told for key in ("updates", "update", "notification"))


def readings(told: Mapping[str, object], switch: str) -> Iterator[Reading]:
    """Yield the counters of all ports; ``switch`` is taken where a notification does not say whose it is.

    Those that are not known have no field.
    """
    for notification in _notifications(told, 0):
        prefix, target = _prefix(notification.get("prefix"))
        own = target or _host(notification.get("source")) or switch
        for path, value in _updates(notification):
            for leaf, count in _leaves(path, value, 0):
                if (reading := _reading(prefix + leaf, count, own)) is not None:
                    yield reading


def _notifications(told: Mapping[str, object], depth: int) -> Iterator[Mapping[str, object]]:
    """Yield a notification, and those that it wraps, as answers to "get" and "subscribe" do."""
    yield told
    for key in ("notification", "update"):
        inner = told.get(key)
        for each in inner if isinstance(inner, list) else [inner]:
            if isinstance(each, dict) and is_ours(each) and depth < MOST_DEPTH:
                yield from _notifications(each, depth + 1)


def _host(source: object) -> str | None:
    """Return the host of ``leaf1:57400``."""
    return (source.rpartition(":")[0] or source) if isinstance(source, str) and source else None


def _updates(told: Mapping[str, object]) -> Iterator[tuple[Path, object]]:
    """Yield path and value of each update."""
    for key in ("updates", "update"):
        updates = told.get(key)
        for update in updates if isinstance(updates, list) else []:
            if not isinstance(update, dict):
                continue
            path = _path(update.get("Path", update.get("path")))
            values = update.get("values")
            yield from ((path, value) for value in (values.values() if isinstance(values, dict) else ()))
            if isinstance(value := update.get("val"), dict):
                yield from ((path, value[name]) for name in VALUES if name in value)


def _leaves(path: Path, value: object, depth: int) -> Iterator[tuple[Path, int]]:
    """Yield the numbers below a path: an answer to "get" may hold a whole container."""
    if isinstance(value, dict) and depth < MOST_DEPTH:
        for name, inner in value.items():
            yield from _leaves((*path, (_plain(name), None)), inner, depth + 1)
    elif (count := number(value)) is not None:
        yield path, count


def _reading(path: Path, value: int, switch: str) -> Reading | None:
    keys = {name: key for name, key in path if key is not None}
    port, leaf = keys.get("interface"), path[-1][0] if path else ""
    names = {name for name, _ in path}
    priority, field = None, None
    if "queue" in keys:
        match = LAST_DIGIT.fullmatch(keys["queue"])
        priority, field = (None, None) if match is None else (int(match[1]), QUEUE_FIELDS.get(leaf))
    elif not names & INNER:
        field = PORT_FIELDS.get(leaf)
    if port is None:
        field = None
    if field is None and not names & COUNTED:
        return None  # a setting, such as an MTU
    return Reading(switch=switch, port=port or "", priority=priority, field=field, counter=leaf, value=value)


def _prefix(told: object) -> tuple[Path, str | None]:
    """Return the path that all updates continue, and the switch that they are of."""
    target = told.get("target") if isinstance(told, dict) else None
    return _path(told), target if isinstance(target, str) and target else None


def _path(told: object) -> Path:
    """Return a path, written as text or as a list of elements."""
    if isinstance(told, str):
        return tuple((_plain(match[1]), match[2]) for match in ELEMENT.finditer(told))
    elements = told.get("elem") if isinstance(told, dict) else None
    found = []
    for element in elements if isinstance(elements, list) else []:
        if isinstance(element, dict) and isinstance(name := element.get("name"), str):
            keys = element.get("key")
            key = next(iter(keys.values()), None) if isinstance(keys, dict) else None
            found.append((_plain(name), key if isinstance(key, str) else None))
    return tuple(found)


def _plain(name: str) -> str:
    """Return a name without its module: ``openconfig-interfaces:interfaces``."""
    return name.rpartition(":")[2]
