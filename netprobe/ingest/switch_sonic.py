"""SONiC's COUNTERS_DB as ``redis-dump`` and ``sonic-db-dump`` write it.

Names of counters: SAI (saiport.h, saiqueue.h, saibuffer.h), and those of the PFC watchdog (sonic-swss, orchagent).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from netprobe.ingest.switch_counts import NS_PER_US, Reading, number

Hash = Mapping[str, object]

PRIORITY_COUNTER: Final = re.compile(r"SAI_PORT_STAT_PFC_([0-7])_(RX_PKTS|TX_PKTS|RX_PAUSE_DURATION_US)")
ESTIMATE: Final = re.compile(r"EST_PORT_STAT_PFC_([0-7])_RX_PAUSE_DURATION_US")
PRIORITY_FIELDS: Final = {"RX_PKTS": "rx_pfc", "TX_PKTS": "tx_pfc", "RX_PAUSE_DURATION_US": "rx_pause_ns"}
"""Not RX_PAUSE_DURATION: it is in quanta on some switches and in µs on others."""
PORT_FIELDS: Final = {
    "SAI_PORT_STAT_PAUSE_RX_PKTS": "rx_pfc",
    "SAI_PORT_STAT_PAUSE_TX_PKTS": "tx_pfc",
    "SAI_PORT_STAT_ETHER_STATS_CRC_ALIGN_ERRORS": "rx_damaged",
    "SAI_PORT_STAT_IF_IN_ERRORS": "rx_errors",
    "SAI_PORT_STAT_IF_OUT_ERRORS": "tx_errors",
    "SAI_PORT_STAT_IF_IN_DISCARDS": "drops",
    "SAI_PORT_STAT_IF_OUT_DISCARDS": "drops",
    "SAI_PORT_STAT_WRED_DROPPED_PACKETS": "wred_drops",
    "SAI_PORT_STAT_ECN_MARKED_PACKETS": "ecn_marked",
    "SAI_PORT_STAT_IF_IN_FEC_NOT_CORRECTABLE_FRAMES": "fec_uncorrectable",
}
QUEUE_FIELDS: Final = {
    "SAI_QUEUE_STAT_DROPPED_PACKETS": "drops",
    "SAI_QUEUE_STAT_WRED_DROPPED_PACKETS": "wred_drops",
    "SAI_QUEUE_STAT_WRED_ECN_MARKED_PACKETS": "ecn_marked",
    "PFC_WD_QUEUE_STATS_DEADLOCK_DETECTED": "pfc_watchdog_storms",
}
GROUP_FIELDS: Final = {"SAI_INGRESS_PRIORITY_GROUP_STAT_DROPPED_PACKETS": "drops"}
PLACE: Final = re.compile(r"(.+)[:|]([0-7])")
TABLE: Final = "COUNTERS:"
PORT_MAP, QUEUE_MAP, GROUP_MAP = "COUNTERS_PORT_NAME_MAP", "COUNTERS_QUEUE_NAME_MAP", "COUNTERS_PG_NAME_MAP"


def is_ours(told: Mapping[str, object]) -> bool:
    """Return whether an object is a dump of COUNTERS_DB."""
    return PORT_MAP in told


def readings(told: Mapping[str, object], switch: str) -> Iterator[Reading]:
    """Yield the counters of all ports; a port whose name the dump does not tell is left out.

    Counters that are not known have no field.
    """
    tables = _hashes(told)
    for port, oid in tables.get(PORT_MAP, {}).items():
        yield from _port(tables.get(f"{TABLE}{oid}", {}), switch, port)
    for map_name, known in ((QUEUE_MAP, QUEUE_FIELDS), (GROUP_MAP, GROUP_FIELDS)):
        for place, oid in tables.get(map_name, {}).items():
            if match := PLACE.fullmatch(place):  # queues above 7 are of multicast, on some switches
                counters = tables.get(f"{TABLE}{oid}", {})
                yield from _known(counters, known, switch, match[1], int(match[2]))


def _port(counters: Hash, switch: str, port: str) -> Iterator[Reading]:
    others = {name: text for name, text in counters.items() if not _is_of_priority(name)}
    yield from _known(others, PORT_FIELDS, switch, port, None)
    for name, text in counters.items():
        match = PRIORITY_COUNTER.fullmatch(name)
        if match is None and (estimate := ESTIMATE.fullmatch(name)):
            is_measured = f"SAI_PORT_STAT_PFC_{estimate[1]}_RX_PAUSE_DURATION_US" in counters
            match = None if is_measured else estimate
        value = number(text)
        if match is not None and value is not None:
            field = PRIORITY_FIELDS[match[2]] if match.re is PRIORITY_COUNTER else "rx_pause_ns"
            scale = NS_PER_US if field == "rx_pause_ns" else 1
            yield Reading(
                switch=switch, port=port, priority=int(match[1]), field=field, counter=name, value=value * scale
            )


def _known(counters: Hash, known: Mapping[str, str], switch: str, port: str, priority: int | None) -> Iterator[Reading]:
    for name, text in counters.items():
        if (value := number(text)) is not None:
            yield Reading(switch=switch, port=port, priority=priority, field=known.get(name), counter=name, value=value)


def _is_of_priority(name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in (PRIORITY_COUNTER, ESTIMATE))


def _hashes(told: Mapping[str, object]) -> dict[str, Hash]:
    """Return all hashes by key: bare, below ``value`` (redis-dump), or the counters below one key of their own."""
    hashes: dict[str, Hash] = {}
    for key, each in told.items():
        inner = each.get("value", each) if isinstance(each, dict) else None
        if isinstance(inner, dict):
            hashes[key] = inner
    for oid, counters in hashes.get(TABLE.rstrip(":"), {}).items():
        if isinstance(counters, dict):
            hashes.setdefault(f"{TABLE}{oid}", counters)
    return hashes
