"""Arrays and words for the script of a page: one compressed block in base64, so that no name in it can end a script.

Layout before compression, little-endian: the length of the JSON (4 bytes), the JSON, padding to 8 bytes, the arrays.
The JSON refers to an array as ``{"at": byte, "count": elements, "bytes": 1 or 2}``.
"""

import base64
import gzip
import json
import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ALIGNMENT: Final = 8
SMALLEST: Final = 9
"""Effort of the compression."""
ZERO_CODE: Final = 65_534
ABSENT_CODE: Final = 65_535
LARGEST_CODE: Final = 65_533


class Payload:
    """Collects arrays; ``packed`` gives them away with the words that refer to them."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._length = 0

    def add(self, values: NDArray[np.uint8] | NDArray[np.uint16]) -> dict[str, int]:
        """Keep an array, row after row, and return what the JSON is to call it."""
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        block = little.tobytes()
        place = {"at": self._length, "count": int(values.size), "bytes": values.dtype.itemsize}
        padded = block + b"\x00" * (-len(block) % ALIGNMENT)
        self._blocks.append(padded)
        self._length += len(padded)
        return place

    def packed(self, words: dict[str, Any]) -> str:
        """Return everything as base64 of gzip; the same input gives the same text."""
        told = json.dumps(words, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
        head = struct.pack("<I", len(told)) + told
        return compressed(head + b"\x00" * (-len(head) % ALIGNMENT) + b"".join(self._blocks))


def compressed(body: bytes) -> str:
    """Return base64 of gzip, without a time in it."""
    return base64.b64encode(gzip.compress(body, SMALLEST, mtime=0)).decode("ascii")


def coded(values: NDArray[np.float64]) -> tuple[NDArray[np.uint16], float, float]:
    """Return values as 16-bit numbers of equal steps in the logarithm, with the smallest logarithm and the step.

    Within 0.02 % over five decades. Values are not negative; NaN is ABSENT_CODE, 0 ZERO_CODE. Any shape.
    """
    is_positive = values > 0
    logs = np.log(values, where=is_positive, out=np.zeros_like(values))
    low, high = (float(logs[is_positive].min()), float(logs[is_positive].max())) if is_positive.any() else (0.0, 0.0)
    step = (high - low) / LARGEST_CODE or 1.0
    codes = np.where(is_positive, np.rint((logs - low) / step), np.where(np.isnan(values), ABSENT_CODE, ZERO_CODE))
    return codes.astype(np.uint16), low, step
