"""Arrays and words for the script of a page, as base64 of gzip: no name in it can end a script.

Words are one block of JSON; each array is a block of its own, which the script takes apart when it draws it.
"""

import base64
import gzip
import json
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

EFFORT: Final = 6
"""Of the compression; the most takes five times as long for one part in a hundred."""
ZERO_CODE: Final = 65_534
ABSENT_CODE: Final = 65_535
LARGEST_CODE: Final = 65_533
SMALLEST_STEP: Final = 0.001
"""Of the logarithm: a page shows three digits, and what is finer would only be noise that cannot be compressed."""


class Payload:
    """Collects blocks of arrays, while there is room for them."""

    def __init__(self, room_bytes: int) -> None:
        self.blocks: list[str] = []
        self._room_bytes = room_bytes

    def add(self, *arrays: NDArray[np.uint8] | NDArray[np.uint16]) -> int | None:
        """Keep arrays, one behind the other, and return the number of their block; None where there is no room."""
        block = compressed(b"".join(each.astype(each.dtype.newbyteorder("<"), copy=False).tobytes() for each in arrays))
        if len(block) > self._room_bytes:
            return None
        self._room_bytes -= len(block)
        self.blocks.append(block)
        return len(self.blocks) - 1


def packed_words(words: dict[str, Any]) -> str:
    """Return words as a block."""
    return compressed(json.dumps(words, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8"))


def compressed(body: bytes) -> str:
    """Return base64 of gzip, without a time in it: the same input gives the same text."""
    return base64.b64encode(gzip.compress(body, EFFORT, mtime=0)).decode("ascii")


def coded(values: NDArray[np.float64]) -> tuple[NDArray[np.uint16], float, float]:
    """Return values as 16-bit numbers of equal steps in the logarithm, with the smallest logarithm and the step.

    Within 0.05 %, over up to 28 decades. Values are not negative; NaN is ABSENT_CODE, 0 ZERO_CODE. Any shape.
    """
    is_positive = values > 0
    logs = np.log(values, where=is_positive, out=np.zeros_like(values))
    low, high = (float(logs[is_positive].min()), float(logs[is_positive].max())) if is_positive.any() else (0.0, 0.0)
    step = max((high - low) / LARGEST_CODE, SMALLEST_STEP)
    codes = np.where(is_positive, np.rint((logs - low) / step), np.where(np.isnan(values), ABSENT_CODE, ZERO_CODE))
    return codes.astype(np.uint16), low, step
