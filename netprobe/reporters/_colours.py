"""The one scale of colours for maps: light blue for what is typical, by sand and orange to deep orange for the worst.

Blue against orange is told apart with every common colour blindness; both ends are seen on white and on black.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

LEVELS: Final = 64
"""More shades than anybody tells apart."""
NOT_MEASURED: Final = LEVELS
"""The level of a cell that nobody measured: no colour at all."""

Colour = tuple[int, int, int]

_STOPS: Final[tuple[tuple[float, Colour], ...]] = (
    (0.0, (120, 174, 219)),
    (0.2, (176, 196, 200)),
    (0.4, (236, 190, 124)),
    (0.7, (226, 118, 36)),
    (1.0, (176, 48, 8)),
)


def levels_of(badness: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the level of each cell, 0 to LEVELS - 1, and NOT_MEASURED for NaN; any shape."""
    scaled = np.nan_to_num(np.clip(badness, 0.0, 1.0)) * (LEVELS - 1)
    return np.where(np.isnan(badness), NOT_MEASURED, np.rint(scaled)).astype(np.uint8)


def palette() -> tuple[Colour, ...]:
    """Return the colour of each level."""
    places = np.linspace(0.0, 1.0, LEVELS)
    at = [each for each, _ in _STOPS]
    channels = [np.interp(places, at, [colour[channel] for _, colour in _STOPS]) for channel in range(3)]
    return tuple((round(red), round(green), round(blue)) for red, green, blue in zip(*channels, strict=True))


def hexadecimal(colour: Colour) -> str:
    """Return ``#78aedb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
