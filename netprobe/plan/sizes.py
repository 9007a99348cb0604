"""Message sizes: the sweep between two sizes, as nccl-tests' -b -e -f -i mean it."""

import math

from netprobe.errors import PlanError
from netprobe.units import format_size

LARGEST_BYTES = 1 << 40  # beyond any buffer of today's hosts; a larger number is a typing error


def sweep(
    begin_bytes: int, end_bytes: int, *, factor: float | None = None, step_bytes: int | None = None
) -> tuple[int, ...]:
    """Return the sizes from begin to end, both included where the sweep meets them, ascending.

    ``step_bytes`` adds, ``factor`` multiplies (2 when neither is given). Raise PlanError when the sweep is empty,
    endless or has a size of 0.
    """
    if begin_bytes < 1:
        raise PlanError(f"a message of {begin_bytes} bytes measures nothing", remedy="-b 8")
    if end_bytes < begin_bytes:
        raise PlanError(
            f"the sweep ends (-e {format_size(end_bytes)}) before it begins (-b {format_size(begin_bytes)})",
            remedy=f"-b {format_size(end_bytes)} -e {format_size(begin_bytes)}",
        )
    if end_bytes >= LARGEST_BYTES:
        raise PlanError(f"a message of {format_size(end_bytes)} does not fit any host's memory", remedy="-e 1G or less")
    if step_bytes is not None:
        return _arithmetic(begin_bytes, end_bytes, step_bytes)
    return _geometric(begin_bytes, end_bytes, 2.0 if factor is None else factor)


def _arithmetic(begin_bytes: int, end_bytes: int, step_bytes: int) -> tuple[int, ...]:
    if step_bytes < 1:
        raise PlanError(f"a step of {step_bytes} bytes never ends", remedy="-i 1M")
    sizes = range(begin_bytes, end_bytes + 1, step_bytes)
    if len(sizes) > MOST_SIZES:
        raise PlanError(f"the sweep has {len(sizes)} sizes", remedy="a larger step (-i), or a factor (-f 2)")
    return tuple(sizes)


def _geometric(begin_bytes: int, end_bytes: int, factor: float) -> tuple[int, ...]:
    if not 1 < factor < math.inf:
        raise PlanError(f"a factor of {factor:g} never ends", remedy="-f 2")
    sizes = [begin_bytes]
    while (larger := max(int(sizes[-1] * factor), sizes[-1] + 1)) <= end_bytes:
        sizes.append(larger)
    return tuple(sizes)


MOST_SIZES = 10_000  # a report with more rows than this is a mistake of the step
