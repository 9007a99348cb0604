"""Run a job with the first launcher that brings its ranks together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from netprobe.contracts import Sink
from netprobe.environment import launcher_environment
from netprobe.errors import LaunchError
from netprobe.launch.argv import argv_for
from netprobe.launch.job import JobEnd, LaunchTimeout, Listeners, Patience
from netprobe.launch.request import LaunchPlan
from netprobe.launch.supervisor import supervise
from netprobe.model.record import Record

OpenSink = Callable[[LaunchPlan], Sink]


def run_ranks(
    plans: Sequence[LaunchPlan],
    environ: Mapping[str, str],
    open_sink: OpenSink,
    *,
    patience: Patience | None = None,
    listeners: Listeners | None = None,
) -> JobEnd:
    """Try the plans in order, and return how the first ended that began to measure.

    ``open_sink`` is called once, when the ranks of a plan have met; never when none do. LaunchError: no launcher
    brought the ranks together; the message holds each one's reason.
    """
    given_up: list[str] = []
    for plan in plans:
        try:
            end = supervise(
                argv_for(plan),
                launcher_environment(environ, dict(plan.settings)),
                _SinkOpenedByFirst(open_sink, plan),
                expected_ranks=plan.ranks,
                patience=patience,
                listeners=listeners,
            )
        except LaunchTimeout:
            raise
        except LaunchError as error:
            given_up.append(str(error))
        else:
            return replace(end, given_up=tuple(given_up))
    raise LaunchError("; then ".join(dict.fromkeys(given_up)))


class _SinkOpenedByFirst:
    """A Sink that does not exist before its first record: a launcher that is given up leaves no run directory."""

    def __init__(self, open_sink: OpenSink, plan: LaunchPlan) -> None:
        self._open_sink = open_sink
        self._plan = plan
        self._sink: Sink | None = None

    def emit(self, record: Record) -> None:
        """Hand on a record."""
        if self._sink is None:
            self._sink = self._open_sink(self._plan)
        self._sink.emit(record)
