"""What one launch of ranks is asked to do: a whole plan, or what another launch has left of it.

It travels as one word of an argument list, which survives mpiexec, ssh and srun though they quote differently.
"""

import base64
import binascii
import zlib
from dataclasses import dataclass

import msgspec

from netprobe.errors import PlanError
from netprobe.model.plan import Plan
from netprobe.model.topology import Leaf

Roster = tuple[tuple[str, tuple[int, ...]], ...]
"""Each host's ranks in the first launch, by place on the host."""

RankLeaves = tuple[str | None, ...]
"""The leaf switch of each rank of the first launch, by number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A plan, and where to begin."""

    plan: Plan
    roster: Roster = ()
    """Empty in the first launch. Later the plan is fitted already, and ranks keep the numbers they had."""
    rank_leaves: RankLeaves = ()
    """Empty in the first launch, and where no leaf is known. Partners are drawn by them, those of absent ranks too."""
    first_stage: int = 0
    first_round: int = 0
    avoided: tuple[tuple[str, str], ...] = ()
    """Pairs of hosts that are not to be tried again: nothing passes between them."""
    leaves: tuple[Leaf, ...] = ()
    """Where hosts are, as the user told; empty when the user did not."""
    excluded: tuple[str, ...] = ()
    """RDMA devices and interfaces that are not to be read."""


def encode(task: Task) -> str:
    """Return the task as URL-safe base64."""
    return base64.urlsafe_b64encode(zlib.compress(msgspec.json.encode(task))).decode("ascii")


def decode(token: str) -> Task:
    """Return the task of a token; raise PlanError when it is none."""
    try:
        return msgspec.json.decode(zlib.decompress(base64.urlsafe_b64decode(token)), type=Task)
    except (binascii.Error, zlib.error, msgspec.DecodeError) as error:
        raise PlanError(f"the plan handed to this rank is damaged: {error}") from error
