"""Who takes part in this launch, and by which numbers: a run numbers its ranks once, MPI anew in every launch.

Everything that leaves a rank carries the run's numbers; everything handed to MPI carries MPI's.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from netprobe.errors import PlanError
from netprobe.model.bursts import StepBin
from netprobe.model.endpoint import Rank
from netprobe.model.rdma import PairFailure
from netprobe.model.series import Fault, Series
from netprobe.plan.pairing import IntArray, Round
from netprobe.plan.task import RankLeaves, Roster

ABSENT: Final = -1


@dataclass(frozen=True, kw_only=True)
class Crew:
    """The ranks of a run, and which of them are here."""

    everyone: tuple[Rank, ...]
    """All ranks that the run ever had, by the run's numbers."""
    numbers: tuple[int, ...]
    """The run's number of each rank that is here, by MPI's."""

    @cached_property
    def here(self) -> tuple[Rank, ...]:
        """The ranks that are here, with the run's numbers, in MPI's order."""
        return tuple(self.everyone[number] for number in self.numbers)

    @cached_property
    def mpi_rank_of(self) -> dict[int, int]:
        """MPI's number of each rank that is here, by the run's."""
        return {number: rank for rank, number in enumerate(self.numbers)}

    def present(self, each: Round, avoided: frozenset[frozenset[str]] = frozenset()) -> Round:
        """Return a round in MPI's numbers, without the pairs of which an end is missing or that are to be avoided."""
        rank_of = np.full(len(self.everyone), ABSENT, dtype=np.int64)
        rank_of[list(self.numbers)] = np.arange(len(self.numbers))

        def kept(ends: IntArray) -> IntArray:
            here = rank_of[ends]
            is_kept = (here != ABSENT).all(axis=1)
            if avoided:
                is_kept &= np.array([self._hosts(src, dst) not in avoided for src, dst in ends.tolist()], dtype=bool)
            present: IntArray = here[is_kept]
            return present

        return Round(pairs=kept(each.ends), flows=kept(each.flows))

    def root_of(self, root: int) -> int:
        """Return MPI's number for a root; its first rank takes over where the root is missing."""
        return self.mpi_rank_of.get(root, 0)

    def numbered(self, series: Series) -> Series:
        """Return a series that was recorded with MPI's numbers with the run's."""
        if self.numbers == tuple(range(len(self.numbers))):
            return series
        return replace(
            series,
            src=self.numbers[series.src],
            dst=None if series.dst is None else self.numbers[series.dst],
            root=None if series.root is None else self.numbers[series.root],
            faults=tuple(self._numbered_fault(fault) for fault in series.faults),
        )

    def numbered_bin(self, each: StepBin) -> StepBin:
        """Return a second of bursts that was told with MPI's numbers with the run's."""
        return replace(each, late_rank=self.numbers[each.late_rank], held_rank=self.numbers[each.held_rank])

    def numbered_failure(self, failure: PairFailure) -> PairFailure:
        """Return a failure that was recorded with MPI's numbers with the run's."""
        cause = replace(failure.cause, rank=self.numbers[failure.cause.rank])
        return replace(failure, src=self.numbers[failure.src], dst=self.numbers[failure.dst], cause=cause)

    def _numbered_fault(self, fault: Fault) -> Fault:
        peer = None if fault.peer is None else self.numbers[fault.peer]
        return replace(fault, rank=self.numbers[fault.rank], peer=peer)

    def _hosts(self, src: int, dst: int) -> frozenset[str]:
        return frozenset((self.everyone[src].host, self.everyone[dst].host))


def crew_of(met: tuple[Rank, ...], roster: Roster, leaves: RankLeaves = ()) -> Crew:
    """Return the crew of the ranks that met; ``roster`` is empty in the first launch of a run.

    ``leaves`` are those of the first launch: rounds are drawn by them, and must be the same ones again.

    PlanError when somebody came who was not there at first.
    """
    if not roster:
        return Crew(everyone=met, numbers=tuple(range(len(met))))
    known = dict(roster)
    for rank in met:
        if rank.local_index >= len(known.get(rank.host, ())):
            raise PlanError(f"rank {rank.local_index} of {rank.host} was not there when the run began")
    numbers = tuple(known[rank.host][rank.local_index] for rank in met)
    leaf_of = dict(enumerate(leaves))
    here = {
        number: replace(rank, rank=number, leaf=leaf_of.get(number, rank.leaf))
        for number, rank in zip(numbers, met, strict=True)
    }
    absent = {
        number: Rank(rank=number, host=host, local_index=place, cpus=(), pid=0, leaf=leaf_of.get(number))
        for host, ranks in roster
        for place, number in enumerate(ranks)
    }
    everyone = {**absent, **here}
    return Crew(everyone=tuple(everyone[number] for number in sorted(everyone)), numbers=numbers)
