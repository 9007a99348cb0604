"""Answers of pure functions that several detectors ask for, kept for the arguments that they were given last.

Arguments are told apart by identity, since tables of millions of rows have no cheaper one: only frozen records, whose
answer cannot change, may be given. Does not handle: equal arguments that are not the same; they cost a second
calculation, and nothing else.
"""

from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def remembered(count: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator that keeps the last ``count`` answers, and the arguments they are answers to."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        kept: deque[tuple[tuple[object, ...], T]] = deque(maxlen=count)

        @wraps(function)
        def answer(*args: P.args, **kwargs: P.kwargs) -> T:
            asked = (*args, *kwargs.values())
            for known, result in tuple(kept):  # a copy: another thread may add to it
                if len(known) == len(asked) and all(one is other for one, other in zip(known, asked, strict=True)):
                    return result
            result = function(*args, **kwargs)
            kept.append((asked, result))
            return result

        return answer

    return decorate
