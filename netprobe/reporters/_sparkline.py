"""Distributions in one line of text: a bar for each bin, and none only where there is no sample."""

import math
from collections.abc import Sequence
from typing import Final

BARS: Final = "▁▂▃▄▅▆▇█"
PLAIN_BARS: Final = ".:-=+*#@"
"""For logs and mails that have no blocks."""


def sparkline(counts: Sequence[float | None], *, logarithmic: bool, bars: str = BARS) -> str:
    """Return a bar for each count; a blank for 0 and for what is not known.

    ``logarithmic``: one in a million is seen beside the million, as tails have to be.
    """
    heights = [_height(count or 0.0, logarithmic=logarithmic) for count in counts]
    tallest = max(heights, default=0.0)
    if tallest <= 0:
        return " " * len(heights)
    return "".join(" " if not each else bars[max(0, math.ceil(each / tallest * len(bars)) - 1)] for each in heights)


def _height(count: float, *, logarithmic: bool) -> float:
    return math.log2(1 + count) if logarithmic else count


def regrouped(counts: Sequence[int], width: int) -> tuple[int, ...]:
    """Return the counts of neighbouring bins together, in at most ``width`` bins."""
    size = -(-len(counts) // width)
    return tuple(sum(counts[start : start + size]) for start in range(0, len(counts), size))
