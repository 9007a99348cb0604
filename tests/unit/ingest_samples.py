"""Recorded outputs of other tools, and texts made of them."""

from pathlib import Path

from netprobe.ingest.recognise import read_text

FIXTURES = Path(__file__).parents[1] / "fixtures"


def text_of(name):
    """Return a recorded output."""
    return (FIXTURES / "ingest" / name).read_text()


def read(name):
    """Return what a recorded output tells."""
    return read_text(text_of(name), name)


def row_of(benchmark, size_bytes, *, in_place=False):
    """Return the one row of a size."""
    [row] = [each for each in benchmark.rows if each.size_bytes == size_bytes and each.in_place is in_place]
    return row
