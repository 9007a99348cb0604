"""A rank that measures every scenario, one after the other; rank 0 does the harm and keeps a run directory of each.

The pauses for idle NICs are shortened: soft-RoCE counts at once.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from scenarios import EVERY, MEANWHILE, SCENARIOS, plan_of

from netprobe.model.record import Record, RoundStarted
from netprobe.model.run import Launch, RunStatus
from netprobe.plan.task import Task
from netprobe.session.ranks import open_session
from netprobe.store.writer import RunWriter

LONGEST_PAUSE_S = 0.2
LONGEST_WAIT_S = 120.0
AS_LOGIN = ("nsenter", "--target", "1", "--all", "--", "/run/rdma-lab/fault")


class Switched:
    """A Sink that hands on to the run directory of the scenario, and says when the middle of the run has come."""

    def __init__(self) -> None:
        self.writer: RunWriter | None = None
        self.is_in_the_middle = threading.Event()

    def emit(self, record: Record) -> None:
        if isinstance(record, RoundStarted) and record.stage == MEANWHILE:
            self.is_in_the_middle.set()
        if self.writer is not None:
            self.writer.emit(record)


def harm(faults: Iterable[tuple[float, str]], once: threading.Event | None = None) -> None:
    """Do what the lab's tool is told, each after a pause; first wait for an event."""
    if once is not None and not once.wait(LONGEST_WAIT_S):
        return
    for pause_s, fault in faults:
        time.sleep(pause_s)
        subprocess.run([*AS_LOGIN, *fault.split()], check=True)


def main() -> None:
    sink = Switched()
    with open_session(lambda: sink) as session:
        leads = session.control.rank == 0
        session = replace(session, pause=lambda span_s: time.sleep(min(span_s, LONGEST_PAUSE_S)))
        for scenario in [each for each in EVERY if each.name in sys.argv[1:]] or SCENARIOS:
            sink.is_in_the_middle.clear()
            later = threading.Thread(target=harm, args=(scenario.meanwhile, sink.is_in_the_middle))
            if leads:
                harm((0.0, fault) for fault in scenario.before)
                launch = Launch(method="lab", argv=(scenario.name,), mpi="")
                plan = plan_of(scenario)
                sink.writer = RunWriter.create(
                    Path(scenario.name), plan, launch, started=datetime.now(UTC), run_id="run"
                )
                later.start()
            session.control.barrier()
            session.run(Task(plan=plan_of(scenario)))
            if leads and sink.writer is not None:
                later.join()
                sink.writer.close(RunStatus.COMPLETE)
                harm([(0.0, "clear")])
                print(f"{scenario.name}: measured", flush=True)
            session.control.barrier()


if __name__ == "__main__":
    main()
