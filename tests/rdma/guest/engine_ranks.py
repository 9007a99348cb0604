"""A rank that moves messages to and from another with each pair of engines, and writes down what came of it."""

import ctypes
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from mpi4py import MPI

from netprobe.buffers.host import HostBuffer
from netprobe.contracts import Stamps
from netprobe.errors import PairError
from netprobe.inventory.rdma_choice import choose_endpoint
from netprobe.inventory.rdma_ports import rdma_ports
from netprobe.model.plan import Path as StagePath
from netprobe.model.plan import Scope, Stage
from netprobe.model.rdma import Engine, Operation, RdmaOptions
from netprobe.session.control import MpiControl
from netprobe.system.here import this_system
from netprobe.transports._pyverbs_discovery import discover
from netprobe.transports.mpi import MpiTransport
from netprobe.transports.verbs import VerbsTransport, open_device

PAIRS = [(first, second) for first in Engine for second in Engine]
SIZES_BYTES = (1, 8, 4096, 65536)
WORD_BYTES = 8
WINDOW = 6
ITERATIONS = 3
SEED = 7


class Rank:
    """One end; ``rows`` is what it found."""

    def __init__(self) -> None:
        world = MPI.COMM_WORLD
        self.under = MpiTransport(MPI, world.Dup())
        self.control = MpiControl(MPI, world.Dup())
        self.number = self.control.rank
        self.peer = 1 - self.number
        self.send = HostBuffer(WINDOW * max(SIZES_BYTES))
        self.receive = HostBuffer(WINDOW * max(SIZES_BYTES))
        self.rows: list[dict[str, object]] = []

    def with_engines(self, engines: tuple[Engine, Engine]) -> None:
        """Move everything with one pair of engines."""
        # 1.07 s: an emulated processor keeps acknowledgements waiting, and what is sent again is tried elsewhere.
        options = RdmaOptions(
            engine=engines[self.number], queue_pairs=2, post_list=2, source_port=0xD000, ack_timeout=18
        )
        endpoint = replace(choose_endpoint(rdma_ports(this_system()), options, 0), rank=self.number)
        device = open_device(endpoint, options)
        transport = VerbsTransport(self.under, self.control, endpoint, device)
        for operation in Operation:
            sizes = (WORD_BYTES,) if operation is Operation.ATOMIC else SIZES_BYTES
            stage = Stage(
                id="engines", probe="engines", scope=Scope.BETWEEN_HOSTS, sizes_bytes=sizes, window=WINDOW,
                path=StagePath.VERBS, rdma=replace(options, operation=operation),
            )  # fmt: skip
            asked = {"engines": engines, "operation": operation}
            try:
                transport.connect(stage, self.peer, (self.send, self.receive))
                for size_bytes in sizes:
                    for name, run, comes in self.series(transport, size_bytes, operation):
                        self.check(asked | {"series": name, "size_bytes": size_bytes}, run, comes)
            except PairError as error:
                self.rows.append(asked | {"failed": str(error), "cause": asdict(error.cause)})
            finally:
                transport.disconnect()
        device.close()

    def series(
        self, transport: VerbsTransport, size: int, operation: Operation
    ) -> Iterator[tuple[str, Callable[[], Stamps], int]]:
        """Yield what to run, with the bytes that have to come here by it (atomics: what was added here)."""
        leads = self.number == 0
        send, receive, span = self.send.address, self.receive.address, WINDOW * size
        is_atomic, is_read = operation is Operation.ATOMIC, operation is Operation.READ
        answered = ITERATIONS + 1 if is_atomic else 0 if is_read else size
        yield (
            "pingpong",
            lambda: transport.pingpong(
                initiates=leads, peer=self.peer, send=send, receive=receive, size_bytes=size, iterations=ITERATIONS
            ),
            (0 if is_atomic else size) if leads else answered,
        )
        for name, sends in (("stream", leads), ("stream back", not leads)):
            yield (
                name,
                lambda sends=sends: transport.stream(
                    sends=sends, peer=self.peer, address=send if sends else receive, size_bytes=size, window=WINDOW,
                    iterations=ITERATIONS, stride_bytes=size,
                ),
                0 if sends else WINDOW * ITERATIONS if is_atomic else span,
            )  # fmt: skip
        if not is_atomic:
            yield (
                "exchange",
                lambda: transport.exchange(
                    peer=self.peer, send=send, receive=receive, size_bytes=size, window=WINDOW, iterations=ITERATIONS,
                    stride_bytes=size,
                ),
                span,
            )  # fmt: skip

    def check(self, asked: dict[str, object], run: Callable[[], Stamps], comes: int) -> None:
        """Run a series on fresh data, and note whether what had to come did, and nothing else."""
        series = len(self.rows)
        pattern = {"seed": SEED, "iteration": series, "offset_bytes": 0}
        self.send.fill_pattern(rank=self.number, size_bytes=self.send.size_bytes, **pattern)
        self.receive.poison()
        word = ctypes.c_uint64.from_address(self.receive.address)
        if asked["operation"] is Operation.ATOMIC:
            word.value = 0
        self.control.barrier()
        stamps = run()
        if asked["operation"] is Operation.ATOMIC:
            is_right = comes == 0 or word.value == comes
        else:
            mismatch = self.receive.verify_pattern(rank=self.peer, size_bytes=comes, **pattern) if comes else None
            is_right = mismatch is None and bool((self.receive.array[comes:] == 0xFF).all())
        is_timed = bool(stamps[0] > 0 and (np.diff(stamps) >= 0).all())
        self.rows.append(asked | {"comes": comes, "is_right": is_right, "is_timed": is_timed})


def main() -> None:
    rank = Rank()
    for engines in PAIRS:
        rank.with_engines(engines)
    Path(f"rank{rank.number}.json").write_text(json.dumps(rank.rows))
    found = {
        "pyverbs": [asdict(each) for each in discover()],
        "kernel": [asdict(each) for each in rdma_ports(this_system())],
    }
    Path(f"devices{rank.number}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
