"""A control: does measuring and comparing work at all on this host, with no fabric involved?"""

from netprobe.model.plan import Plan, Scope, Stage
from netprobe.model.record import Record, RoundFinished, StageFinished
from netprobe.model.series import Series
from netprobe.plan.task import Task
from netprobe.session.threads import run_on_threads

PLAN = Plan(
    profile="self-test",
    seed=1,
    stages=(
        Stage(id="bandwidth", probe="bandwidth", scope=Scope.WITHIN_HOST, sizes_bytes=(4096,), window=4, iterations=4),
        Stage(id="allreduce", probe="allreduce", scope=Scope.WORLD, sizes_bytes=(4096,), dtype="float32", iterations=4),
    ),
    transport="loopback",
)


class _Keep:
    def __init__(self) -> None:
        self.stages = 0
        self.series: list[Series] = []

    def emit(self, record: Record) -> None:
        match record:
            case RoundFinished():
                self.series.extend(record.series)
            case StageFinished():
                self.stages += 1


def self_test() -> str | None:
    """Run two probes on two threads; return what is wrong, None when all is well."""
    kept = _Keep()
    run_on_threads(Task(plan=PLAN), 2, kept)
    series = kept.series
    if kept.stages != len(PLAN.stages) or not any(each.checked_iterations for each in series):
        return "two threads did not measure what they were told to"
    wrong = sum(fault.wrong_bytes for each in series for fault in each.faults)
    return f"{wrong} bytes arrived wrong between two threads" if wrong else None
