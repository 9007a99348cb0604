"""A nightly run that never ends by itself: run after run with its digest, until it is killed."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from history_samples import Site
from store_samples import LAUNCH, STARTED, plan, ready, stage_records

from netprobe.model.run import RunStatus
from netprobe.store.writer import RunWriter


class SiteOfTheRun(Site):
    """The hosts of the run, so that a digest that was not written and is made from the run is of the same hosts."""

    def names(self):
        return list(dict.fromkeys(rank.host for rank in ready().ranks))


def write_nights_for_ever(root, acknowledge):
    site = SiteOfTheRun(nics=1, nights=10**6)
    night = 0
    while True:
        started = STARTED + timedelta(days=night)
        writer = RunWriter.create(Path(root), replace(plan(), profile="nightly"), LAUNCH, started=started)
        writer.emit(replace(ready(), plan=writer.header.plan))
        for record in stage_records("one", rows=3):
            writer.emit(record)
        writer.close(RunStatus.COMPLETE)
        writer.write_digest(replace(site.night(night), run=writer.header.id, started=started))
        night += 1
        acknowledge.send(night)
