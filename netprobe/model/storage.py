"""All-reduces beside reads from a file system: what was asked for, and in which order things are measured."""

from dataclasses import dataclass
from typing import Final

STORAGE: Final = "storage"
"""The probe, and the stage that it has behind a profile."""
BLOCK_BYTES: Final = 4 << 20
"""Of one read: as loaders of data and checkpoints read, and a stripe of most parallel file systems."""
FEWEST_BLOCKS: Final = 20
"""Of a round that tells a rate: one more or less is then 5 % of it."""
OWN_STORAGE: Final = "storage-of-hosts"
"""What the gap is about that says that reads cross no fabric."""
READ_BEFORE: Final = 0
REDUCED_BEFORE: Final = 1
TOGETHER: Final = 2
REDUCED_AFTER: Final = 3
READ_AFTER: Final = 4
PHASES: Final = 5
"""Rounds of the stage: each of the two alone, both together, each alone again, so that drift is seen of both."""
READS_IN: Final = (READ_BEFORE, TOGETHER, READ_AFTER)
REDUCES_IN: Final = (REDUCED_BEFORE, TOGETHER, REDUCED_AFTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageOptions:
    """What every host reads beside all-reduces."""

    path: str
    rate_bytes_per_s: int | None
    """Of each host; None: as fast as it goes."""
