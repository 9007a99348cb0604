"""From what ranks counted of datagrams, by name, to what each of them sent to whom, and what of it arrived there."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import polars as pl

from netprobe.catalogue.keys import DATAGRAM, datagram_key_of
from netprobe.model.evidence import NO_DATAGRAMS, DatagramTable

Row = tuple[str, int, int, int, int]
"""Stage, round, the rank that counted, its peer, and the size."""

PREFIX: Final = f"{DATAGRAM}/"


def datagram_table(counters: pl.DataFrame) -> DatagramTable:
    """Return the directions that both ends counted; ``counters`` are those of datagrams alone (counters_table)."""
    counted = _by_row(counters)
    told = [
        (row, own["sent"], theirs["received"], own["stamped"], own["received"])
        for row, own in counted.items()
        if (theirs := counted.get(_other_end(row))) is not None
    ]
    if not told:
        return NO_DATAGRAMS
    return DatagramTable(
        stage=tuple(row[0] for row, *_ in told),
        round_index=_integers([row[1] for row, *_ in told]),
        src=_integers([row[2] for row, *_ in told]),
        dst=_integers([row[3] for row, *_ in told]),
        size_bytes=_integers([row[4] for row, *_ in told]),
        sent=_integers([sent for _, sent, *_ in told]),
        arrived=_integers([arrived for _, _, arrived, *_ in told]),
        source_stamps=np.array([stamped > 0 or not received for *_, stamped, received in told], dtype=np.bool_),
    )


def _by_row(counters: pl.DataFrame) -> Mapping[Row, Mapping[str, int]]:
    found: dict[Row, dict[str, int]] = {}
    told = counters.select("stage", "round_index", "rank", "counter", "growth")
    for stage, round_index, rank, counter, growth in told.iter_rows():
        key = datagram_key_of(counter)
        if key is not None and round_index is not None:
            found.setdefault((stage, round_index, rank, key.peer, key.size_bytes), {})[key.what] = growth
    return {row: own for row, own in found.items() if own.keys() >= {"sent", "received", "stamped"}}


def _other_end(row: Row) -> Row:
    stage, round_index, rank, peer, size_bytes = row
    return stage, round_index, peer, rank, size_bytes


def _integers(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)
