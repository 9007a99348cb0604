"""Nights that need no hosts: a measuring step that writes a simulated run where a real one would."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from netprobe.cli.reading import digested, judged
from netprobe.model.run import RunStatus
from netprobe.sim.screening import Screening, SlowHost, screening_run
from netprobe.store.digest import write_digest
from netprobe.store.encoding import json_document
from netprobe.store.files import write_atomically
from netprobe.store.whole import write_whole

FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)


def measuring(folder, night=0, *, hosts=8, slow=(), status=RunStatus.COMPLETE, seed=1, code=None):
    """Return a measuring step for ``one_night`` and ``pass_gate``; ``slow`` are numbers of hosts that send slowly."""

    def measure(audience):
        fabric = Screening(hosts=hosts, seed=seed, slow_hosts=tuple(SlowHost(host=n, sends_ratio=0.37) for n in slow))
        run = screening_run(fabric)
        started = FIRST + timedelta(days=night)
        header = replace(
            run.header,
            id=f"{started:%Y-%m-%dT%H-%M-%SZ}-{night:04x}",
            started=f"{started:%Y-%m-%dT%H:%M:%S}.000Z",
            plan=replace(run.header.plan, profile="nightly"),
            status=status,
            error=None if status is RunStatus.COMPLETE else status.value,
        )
        directory = write_whole(replace(run, header=header), folder)
        found = judged(directory, audience.judging)
        write_atomically(directory / "report.json", json_document(found.report))
        write_digest(directory / "digest.parquet", digested(found))
        audience.take(found, directory)
        audience.remark(f"run directory: {directory}")
        return found.report.exit_code if code is None else code

    return measure
