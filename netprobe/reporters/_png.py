"""Pictures with few colours as PNG, without a library for it: a header, a palette, and compressed rows."""

import struct
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.reporters._colours import Colour

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
BIT_DEPTH: Final = 8
INDEXED: Final = 3


def indexed_png(pixels: NDArray[np.uint8], colours: Sequence[Colour]) -> bytes:
    """Return a PNG of shape (rows, columns); a pixel is the number of its colour, the one after the last none."""
    rows, columns = pixels.shape
    header = struct.pack(">IIBBBBB", columns, rows, BIT_DEPTH, INDEXED, 0, 0, 0)
    table = b"".join(bytes(colour) for colour in (*colours, (0, 0, 0)))
    opacity = b"\xff" * len(colours) + b"\x00"
    # Each row begins with the number of its filter: none, since neighbours of a map are no gradient.
    lines = np.zeros((rows, columns + 1), dtype=np.uint8)
    lines[:, 1:] = pixels
    parts = (
        (b"IHDR", header),
        (b"PLTE", table),
        (b"tRNS", opacity),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return SIGNATURE + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
