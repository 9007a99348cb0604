"""Whether rows are those of one table: jobs that write into one file mix theirs line by line."""

from collections.abc import Sequence
from itertools import pairwise


def is_mixed(sizes: Sequence[int], *, follows_unfinished: bool) -> bool:
    """Return whether rows of these sizes, in the order of lines, are of more than one table.

    A sweep goes up, and begins again as a whole where it has several cycles; sizes that repeat are those that were
    rounded alike, or, behind a table whose end was not seen, those of that table.
    """
    ends = (index for index, (one, other) in enumerate(pairwise(sizes), start=1) if other < one)
    sweep = sizes[: next(ends, len(sizes))]
    if any(size != sweep[index % len(sweep)] for index, size in enumerate(sizes)):
        return True
    return follows_unfinished and any(one == other > 0 for one, other in pairwise(sizes))
