"""A screening over RDMA of a fabric that does not exist, in which hosts, paths or everything cannot go on.

Made from screenings (netprobe.sim.screening) by saying that verbs carried one of them: pairs that fail leave no row,
and a record of how. Does not handle: pairs that work for some sizes and break at others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from netprobe.model.plan import Path, Stage
from netprobe.model.rdma import Breakdown, FailurePhase, Operation, PairFailure, RdmaEndpoint, RdmaOptions
from netprobe.model.run import StageOutcome
from netprobe.sim.screening import Screening, screening_run
from netprobe.store.reader import Run

NO_ANSWER: Final = Breakdown(
    rank=0, phase=FailurePhase.FIRST_MESSAGE, call="ibv_poll_cq", status="RETRY_EXC_ERR", vendor_error=0x81
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RdmaFaults:
    """What cannot go on; hosts by number."""

    hosts: tuple[int, ...] = ()
    """Hosts of which no pair works."""
    paths: tuple[tuple[int, int], ...] = ()
    """Pairs of hosts that do not work, in either direction."""
    everything: bool = False
    cause: Breakdown = NO_ANSWER
    """As the leader of each pair tells it; its rank is filled in."""

    def hit(self, a: int, b: int) -> bool:
        """Return whether two hosts cannot go on with each other."""
        on_path = any({a, b} == set(path) for path in self.paths)
        return self.everything or a in self.hosts or b in self.hosts or on_path


def rdma_run(over_rdma: Screening, faults: RdmaFaults, over_mpi: Screening | None = None) -> Run:
    """Return the run that such a fabric would leave behind; the same arguments give the same run.

    ``over_mpi``: what the same hosts do over MPI before, without faults of RDMA.
    """
    import polars as pl

    run = screening_run(over_rdma)
    header = run.header
    stages = tuple(_over_verbs(stage) for stage in header.plan.stages)
    each_host = over_rdma.ranks_per_host
    outcomes = tuple(_outcome(outcome, stage, faults, each_host) for outcome, stage in zip(
        header.outcomes, stages, strict=True))  # fmt: skip
    gone = [(failure.src, failure.dst) for outcome in outcomes for failure in outcome.failures]
    lost = pl.DataFrame(gone, schema={"src": pl.Int64, "dst": pl.Int64}, orient="row")
    series = run.series.join(lost, on=["src", "dst"], how="anti").with_columns(stage="rdma-" + pl.col("stage"))
    if over_mpi is not None:
        before = screening_run(over_mpi)
        stages = (*before.header.plan.stages, *stages)
        outcomes = (*before.header.outcomes, *outcomes)
        series = pl.concat([before.series, series])
    endpoints = tuple(_endpoint(rank.rank, rank.rank // each_host) for rank in header.ranks)
    plan = replace(header.plan, stages=stages)
    return replace(run, header=replace(header, plan=plan, outcomes=outcomes, endpoints=endpoints), series=series)


def _over_verbs(stage: Stage) -> Stage:
    operation = Operation.SEND if stage.probe == "latency" else Operation.WRITE
    return replace(stage, id=f"rdma-{stage.id}", path=Path.VERBS, rdma=RdmaOptions(operation=operation))


def _outcome(outcome: StageOutcome, stage: Stage, faults: RdmaFaults, each_host: int) -> StageOutcome:
    return replace(outcome, stage=stage.id, failures=tuple(_failures(outcome, stage, faults, each_host)))


def _failures(outcome: StageOutcome, stage: Stage, faults: RdmaFaults, each_host: int) -> Iterator[PairFailure]:
    for index, (src, dst) in enumerate(outcome.planned_pairs):
        if faults.hit(src // each_host, dst // each_host):
            yield PairFailure(
                stage=stage.id,
                probe=stage.probe,
                round_index=index,
                src=src,
                dst=dst,
                size_bytes=stage.sizes_bytes[0],
                cause=replace(faults.cause, rank=src),
            )


def _endpoint(rank: int, host: int) -> RdmaEndpoint:
    return RdmaEndpoint(
        rank=rank,
        device="mlx5_0",
        port=1,
        link_layer="Ethernet",
        gid_index=3,
        gid=f"0000:0000:0000:0000:0000:ffff:0a01:{host + 1:04x}",
        gid_kind="RoCE v2",
        netdev="eth0",
        rate_gbps=400.0,
    )
