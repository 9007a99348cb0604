"""Why ranks cannot use a device, told once for all hosts with the same reason."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.reporters._wording import fold


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a rank cannot use something, and what to try."""

    problem: str
    remedy: str | None


def gaps_of(
    told: Sequence[object], ranks: Sequence[Rank], *, topic: str, what: str, remedy: str, besides: str = ""
) -> tuple[Gap, ...]:
    """Return one gap for each reason among what ranks told, that of most ranks first.

    ``told`` is by rank, and what is no Reason is passed over; ``besides`` follows the hosts where some can.
    """
    reasons = [each if isinstance(each, Reason) else None for each in told]
    gaps = []
    for reason, count in Counter(each for each in reasons if each is not None).most_common():
        hosts = fold(rank.host for rank, each in zip(ranks, reasons, strict=True) if each == reason)
        where = "on any host" if count == len(ranks) else f"on {hosts}{besides}"
        text = f"{what} cannot be used {where}: {reason.problem}"
        gaps.append(Gap(topic=topic, reason=text, remedy=reason.remedy or remedy))
    return tuple(gaps)
