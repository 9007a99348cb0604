"""``netprobe nightly`` night after night without hosts, until it is killed."""

import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import jinja2  # noqa: F401 - loaded once, by the server that the processes are forked from
import plotly.offline  # noqa: F401
import rich.console  # noqa: F401
from history_endless_nights import SiteOfTheRun
from sample_reports import slow_link
from store_samples import LAUNCH, STARTED, plan, ready, stage_records

import netprobe.cli.history_text
import netprobe.reporters.html  # noqa: F401
from netprobe.cli.nightly import Wish, one_night
from netprobe.cli.options import Judging
from netprobe.cli.reading import Judged, judged
from netprobe.model.run import RunStatus
from netprobe.registry import detectors, history_detectors, reporters
from netprobe.store.writer import RunWriter

detectors(), history_detectors(), reporters()


def nights_for_ever(root, acknowledge, is_judged):
    """Go through nights, and send the number of each that has ended.

    To judge a run and to draw its page takes longer than all else; without that, more kills fall into the rest.
    """
    folder = Path(root)
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as this process lives
    if not is_judged:
        sys.modules["jinja2"] = None
    night = len(list(folder.glob("2*")))
    while True:
        one_night(Wish(folder=folder, judging=Judging()), writing(folder, night, is_judged=is_judged))
        night += 1
        acknowledge.send(night)


def writing(folder, night, *, is_judged):
    """Return a measuring step that writes a run stage by stage, as a real one does."""

    def measure(audience):
        started = STARTED + timedelta(days=night)
        writer = RunWriter.create(folder, replace(plan(), profile="nightly"), LAUNCH, started=started)
        writer.emit(replace(ready(), plan=writer.header.plan))
        for record in stage_records("one", rows=3):
            writer.emit(record)
        writer.close(RunStatus.COMPLETE)
        found = judged(writer.directory, audience.judging) if is_judged else as_if_judged(writer, night)
        writer.write_report(found.report)
        digest = SiteOfTheRun(nics=1, nights=10**6).night(night)
        writer.write_digest(replace(digest, run=writer.header.id, started=started))
        audience.take(found, writer.directory)
        return found.report.exit_code

    return measure


def as_if_judged(writer, night):
    """Return a report that differs from night to night, so that there is always something to tell."""
    report = slow_link()
    findings = report.findings if night % 2 else ()
    report = replace(report, run_id=writer.header.id, started=writer.header.started, findings=findings)
    return Judged(report=report, run=SimpleNamespace(header=writer.header), evidence=None)
