"""Whether rows are those of one table: jobs that write into one file mix theirs line by line."""

from collections.abc import Hashable, Sequence
from itertools import pairwise


def is_mixed(sizes: Sequence[int], *, follows_unfinished: bool) -> bool:
    """Return whether rows of these sizes, in the order of lines, are of more than one table.

    A sweep goes up, and begins again as a whole where it has several cycles; sizes that repeat are those that were
    rounded alike, or, behind a table whose end was not seen, those of that table. Rounding has its bounds: sizes that
    grow by a factor stay apart, and those that grow by a step that is rounded away are then all equally far apart.
    """
    ends = (index for index, (one, other) in enumerate(pairwise(sizes), start=1) if other < one)
    sweep = sizes[: next(ends, len(sizes))]
    if any(size != sweep[index % len(sweep)] for index, size in enumerate(sizes)):
        return True
    has_repeats = any(one == other > 0 for one, other in pairwise(sizes))
    return has_repeats and (follows_unfinished or len(_steps(sweep)) > 1)


def is_interleaved(rows: Sequence[tuple[Hashable, int]]) -> bool:
    """Return whether rows, each (what tells a table's rows from another's, size), are of tables that take turns.

    One table measures its types and roots one after the other, each from the smallest size on: a sweep that goes on
    behind rows of another is of another job.
    """
    reached: dict[Hashable, int] = {}
    last: Hashable = None
    for own, size in rows:
        if own != last and size > reached.get(own, size):
            return True
        reached[own], last = size, own
    return False


def _steps(sweep: Sequence[int]) -> set[int]:
    """Return how far apart the sizes of a sweep are, 0 aside."""
    return {other - one for one, other in pairwise(sweep) if other > one > 0}
