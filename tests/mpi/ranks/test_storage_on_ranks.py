"""All-reduces beside reads on MPI ranks: a real file, read by one rank of each host."""

import os

from netprobe.model.plan import Plan
from netprobe.model.record import RoundFinished, StageFinished
from netprobe.model.series import Metric
from netprobe.model.storage import BLOCK_BYTES, PHASES, READS_IN, REDUCES_IN
from netprobe.plan.storage import StorageWish, storage_stage
from netprobe.plan.task import Task
from netprobe.session.worker import Session

PHASE_NS = 100_000_000


class Records:
    def __init__(self):
        self.told = []

    def emit(self, record):
        self.told.append(record)


def test_every_round_tells_what_it_measured_and_the_file_stays_as_it_was(transport, control, together, tmp_path):
    path = tmp_path / "data"
    path.write_bytes(os.urandom(2 * BLOCK_BYTES))
    before = path.read_bytes()
    shared = control.broadcast(str(path))
    records = Records() if transport.rank == 0 else None
    stage = storage_stage(StorageWish(path=shared), size_bytes=65536, phase_ns=PHASE_NS)

    session = Session(transport=transport, control=control, sink=records, calibration=None, environment=())
    session.run(Task(plan=Plan(profile="test", seed=1, stages=(stage,))))

    together(path.read_bytes() == before, "the file changed")
    if records is None or transport.size == 1:
        together(True, "")
        return
    rounds = [each for each in records.told if isinstance(each, RoundFinished)]
    (finished,) = [each.outcome for each in records.told if isinstance(each, StageFinished)]
    told = {(series.metric, series.round_index) for each in rounds for series in each.series}
    wanted = {(Metric.REDUCED, phase) for phase in REDUCES_IN} | {
        (metric, phase) for metric in (Metric.READ, Metric.READS) for phase in READS_IN
    }
    together(finished.rounds == PHASES and told == wanted, f"{finished.rounds} rounds told {sorted(told)}")
