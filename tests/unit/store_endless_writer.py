"""A writer that never ends by itself; in a module of its own, so that a fork server can load it once for all."""

from pathlib import Path

from store_samples import LAUNCH, STARTED, plan, ready, stage_records

from netprobe.store.writer import RunWriter

ROWS = 50


def write_stages_for_ever(directory, acknowledge):
    writer = RunWriter.create(Path(directory), plan(), LAUNCH, started=STARTED, run_id="run")
    writer.emit(ready())
    acknowledge.send(0)
    count = 0
    while True:
        for record in stage_records(f"stage-{count}", rows=ROWS):
            writer.emit(record)
        count += 1
        acknowledge.send(count)
