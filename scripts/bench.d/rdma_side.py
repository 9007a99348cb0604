"""Both sides of scripts/bench-rdma, on each of two ranks: perftest and netprobe by turns, PAIRS times.

perftest's latencies are its medians (t_typical), its bandwidths its averages; netprobe's the same of its own series.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from netprobe.buffers.host import HostBuffer
from netprobe.inventory.rdma_choice import choose_endpoint
from netprobe.inventory.rdma_ports import rdma_ports
from netprobe.model.plan import Path, Scope, Stage
from netprobe.model.rdma import Operation, RdmaOptions
from netprobe.session.control import MpiControl
from netprobe.system.here import this_system
from netprobe.transports.mpi import MpiTransport, open_mpi
from netprobe.transports.verbs import VerbsTransport, open_device

SIZES = (8, 1 << 10, 1 << 16, 1 << 20)
WINDOW = 128  # perftest's --tx-depth
COMPLETION_FOR = 64  # messages: perftest's --cq-mod is 100 where the depth allows
LONGEST_S = 120
SERVER_STARTS_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Contest:
    """A program of perftest, and what netprobe does instead."""

    program: str
    operation: Operation
    is_latency: bool
    iterations: tuple[int, ...]
    """By size; of bandwidths messages."""


CONTESTS = (
    Contest(program="ib_write_lat", operation=Operation.WRITE, is_latency=True, iterations=(1000, 1000, 300, 60)),
    Contest(program="ib_send_lat", operation=Operation.SEND, is_latency=True, iterations=(1000, 1000, 300, 60)),
    Contest(program="ib_write_bw", operation=Operation.WRITE, is_latency=False, iterations=(5120, 5120, 1280, 256)),
    Contest(program="ib_read_bw", operation=Operation.READ, is_latency=False, iterations=(5120, 5120, 1280, 256)),
)


class Side:
    """One rank."""

    def __init__(self) -> None:
        mpi = open_mpi()
        world = mpi.COMM_WORLD
        self.control = MpiControl(mpi, world.Dup())
        self.leads = self.control.rank == 0
        endpoint = choose_endpoint(rdma_ports(this_system()), RdmaOptions(), 0)
        self.endpoint = endpoint
        self.transport = VerbsTransport(
            MpiTransport(mpi, world.Dup()), self.control, endpoint, open_device(endpoint, RdmaOptions())
        )
        self.send, self.receive = HostBuffer(SIZES[-1]), HostBuffer(SIZES[-1])

    def perftest(self, contest: Contest, size_bytes: int, count: int) -> float | None:
        """Return ns of one message, on rank 0."""
        argv = [contest.program, "-d", self.endpoint.device, "-x", str(self.endpoint.gid_index), "-F"]
        argv += ["-s", str(size_bytes), "-n", str(count)]
        self.control.barrier()
        if not self.leads:
            subprocess.run(argv, capture_output=True, timeout=LONGEST_S, check=True)
            return None
        time.sleep(SERVER_STARTS_S)
        said = subprocess.run([*argv, "h2"], capture_output=True, text=True, timeout=LONGEST_S, check=True).stdout
        [row] = [line.split() for line in said.splitlines() if line.split()[:2] == [str(size_bytes), str(count)]]
        # bytes, iterations, then: t_min t_max t_typical … in µs, or peak and average in MiB/s
        return float(row[4]) * 1e3 if contest.is_latency else size_bytes / (float(row[3]) * 2**20) * 1e9

    def netprobe(self, contest: Contest, size_bytes: int, count: int) -> float:
        """Return ns of one message; on rank 1 it means nothing."""
        rdma = RdmaOptions(operation=contest.operation, signal_every=COMPLETION_FOR)
        stage = Stage(
            id="bench", probe="bench", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(size_bytes,), window=WINDOW,
            path=Path.VERBS, rdma=rdma,
        )  # fmt: skip
        self.transport.connect(stage, 1 - self.control.rank, (self.send, self.receive))
        run = self._round_trips if contest.is_latency else self._stream
        try:
            return run(size_bytes, count)
        finally:
            self.transport.disconnect()

    def _round_trips(self, size_bytes: int, count: int) -> float:
        stamps = self.transport.pingpong(
            initiates=self.leads,
            peer=1 - self.control.rank,
            send=self.send.address,
            receive=self.receive.address,
            size_bytes=size_bytes,
            iterations=count,
        )
        return float(np.median(np.diff(stamps))) / 2

    def _stream(self, size_bytes: int, count: int) -> float:
        # perftest reads from its server to its client; netprobe's receiver reads: either way one end posts.
        stamps = self.transport.stream(
            sends=self.leads,
            peer=1 - self.control.rank,
            address=self.send.address if self.leads else self.receive.address,
            size_bytes=size_bytes,
            window=WINDOW,
            iterations=count // WINDOW,
        )
        return float(stamps[-1] - stamps[0]) / (count // WINDOW * WINDOW)


def alternate(theirs: Callable[[], float | None], ours: Callable[[], float], pairs: int) -> list[tuple[float, float]]:
    """Return each pair's figures; who goes first changes, so that a drift of the machine favours neither."""
    found = []
    for index in range(pairs):
        own = ours() if index % 2 else None
        other = theirs()
        found.append((other or 1.0, ours() if own is None else own))
    return found


def shown(contest: Contest, size_bytes: int, elapsed_ns: float) -> str:
    """Return a latency, or a bandwidth."""
    return f"{elapsed_ns / 1e3:.1f} µs" if contest.is_latency else f"{8 * size_bytes / elapsed_ns:.4f} Gb/s"


def row_of(contest: Contest, size_bytes: int, found: list[tuple[float, float]]) -> str:
    """Return a row of the table: both sides' medians, and the ratios of the pairs."""
    ratios = [our / their for their, our in found]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    their, our = (shown(contest, size_bytes, statistics.median(each)) for each in zip(*found, strict=True))
    return f"{contest.program:14} {size_bytes:8} {their:>14} {our:>14} {middle:7.3f}   {low:.3f} to {high:.3f}"


def main(pairs: int, programs: list[str]) -> None:
    """Measure everything, or against some programs, and print a row for each program and size."""
    side = Side()
    if side.leads:
        print(f"{'':14} {'bytes':>8} {'perftest':>14} {'netprobe':>14} {'ratio':>7}   middle half, {pairs} pairs")
    for contest in (each for each in CONTESTS if each.program in programs or not programs):
        for size_bytes, count in zip(SIZES, contest.iterations, strict=True):
            found = alternate(
                lambda c=contest, s=size_bytes, n=count: side.perftest(c, s, n),
                lambda c=contest, s=size_bytes, n=count: side.netprobe(c, s, n),
                pairs,
            )
            if side.leads:  # the other's stamps tell nothing of what it only received
                print(row_of(contest, size_bytes, found), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
