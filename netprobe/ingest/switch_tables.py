"""Tables that SONiC's command line prints: ``show pfc counters``, ``show interfaces counters``, ``show pfcwd stats``, …

Columns are at least two spaces apart; numbers have commas, and ``N/A`` where the switch does not count.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from netprobe.ingest.pasted import Line
from netprobe.ingest.switch_counts import Reading, number

GAP: Final = re.compile(r"\s{2,}")
RULE: Final = re.compile(r"[-\s]+")
PROMPT: Final = re.compile(r"\S{1,64}@([\w.-]{1,253}):[^$#]*[$#]")
QUEUE: Final = re.compile(r"(.+):([0-7])")
QUEUE_NAME: Final = re.compile(r"(?:UC)?([0-7])")
QUEUE_TITLE: Final = "TxQ"
TITLES: Final = frozenset({"Port Rx", "Port Tx", "IFACE", "Port", "QUEUE"})
"""What the first column is called."""
COLUMNS: Final = {
    "RX_ERR": "rx_errors",
    "TX_ERR": "tx_errors",
    "RX_DRP": "drops",
    "TX_DRP": "drops",
    "FEC_UNCORR": "fec_uncorrectable",
    "Drop/pkts": "drops",
    "WredDrp/pkts": "wred_drops",
    "EcnMarked/pkts": "ecn_marked",
    "STORM DETECTED/RESTORED": "pfc_watchdog_storms",
}
PARTED: Final = ("pfc_watchdog_storms", None)
"""What may have two figures in a cell, of which the first says whether there is one."""
PFC_COLUMN: Final = re.compile(r"PFC([0-7])")


class Tables:
    """Reads lines one after the other."""

    def __init__(self, switch: str) -> None:
        self._switch = switch
        self._titles: tuple[str, ...] = ()
        self._fields: tuple[tuple[str, str | None, int | None], ...] = ()
        """Of each column: its title, what it tells if that is known, and of which priority."""
        self.damaged: list[Line] = []
        """Rows with other columns than their table."""

    def readings(self, lines: Sequence[Line]) -> Iterator[Reading]:
        """Yield the counters of all tables."""
        for line in lines:
            text = line.text.strip()
            cells = tuple(GAP.split(text))
            if prompt := PROMPT.match(text):
                self._switch, self._titles = prompt[1], ()
            elif cells[0] in TITLES and len(cells) > 1:
                self._titles, self._fields = cells, tuple(_field(cells[0], title) for title in cells)
            elif len(cells) == 1:
                self._titles = self._titles if text and RULE.fullmatch(text) else ()  # the table is over
            elif self._titles and not RULE.fullmatch(text):
                yield from self._row(cells, line)

    def _row(self, cells: tuple[str, ...], line: Line) -> Iterator[Reading]:
        if len(cells) != len(self._titles):
            self.damaged.append(line)
            return
        port, priority = _place(dict(zip(self._titles, cells, strict=True)))
        for (title, field, own_priority), text in zip(self._fields[1:], cells[1:], strict=True):
            value = number(text.partition("/")[0] if field in PARTED else text)
            if value is not None and title != QUEUE_TITLE:
                yield Reading(
                    switch=self._switch,
                    port=port,
                    priority=priority if own_priority is None else own_priority,
                    field=field,
                    counter=title,
                    value=value,
                )


def _place(row: dict[str, str]) -> tuple[str, int | None]:
    """Return port and priority of a row: of the whole port, or of the queue that it names."""
    first = next(iter(row.values()))
    if "QUEUE" in row and (match := QUEUE.fullmatch(first)):
        return match[1], int(match[2])
    queue = QUEUE_NAME.fullmatch(row.get(QUEUE_TITLE, ""))
    return first, None if queue is None else int(queue[1])


def _field(first: str, title: str) -> tuple[str, str | None, int | None]:
    """Return a column's title with what it tells if that is known, and of which priority where it is of one."""
    if first in ("Port Rx", "Port Tx") and (match := PFC_COLUMN.fullmatch(title)):
        return title, "rx_pfc" if first == "Port Rx" else "tx_pfc", int(match[1])
    return title, COLUMNS.get(title), None
