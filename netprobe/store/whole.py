"""A run that was made in memory, as a directory: simulated, or put together from the output of other tools."""

from io import BytesIO
from pathlib import Path

from netprobe.errors import StoreError
from netprobe.model.inventory import INVENTORY_FORMAT, Inventories
from netprobe.store.encoding import json_document
from netprobe.store.files import (
    COUNTERS_FILE,
    GPUS_FILE,
    INVENTORY_FILE,
    RUN_FILE,
    SERIES_FILE,
    STEPS_FILE,
    write_atomically,
)
from netprobe.store.gpus_table import gpus_frame_of
from netprobe.store.reader import Run
from netprobe.store.series_table import with_digest
from netprobe.store.steps_table import steps_frame_of


def write_whole(run: Run, root: Path) -> Path:
    """Write ``root/RUN_ID`` and return it; StoreError if it exists or cannot be made."""
    directory = root / run.header.id
    series, counters = BytesIO(), BytesIO()
    with_digest(run.series).write_parquet(series)
    run.counters.write_parquet(counters)
    try:
        root.mkdir(parents=True, exist_ok=True)
        directory.mkdir()
        write_atomically(directory / SERIES_FILE, series.getvalue())
        write_atomically(directory / COUNTERS_FILE, counters.getvalue())
        if run.gpu_windows:
            gpus = BytesIO()
            gpus_frame_of(run.gpu_windows).write_parquet(gpus)
            write_atomically(directory / GPUS_FILE, gpus.getvalue())
        if run.steps:
            steps = BytesIO()
            steps_frame_of(run.steps).write_parquet(steps)
            write_atomically(directory / STEPS_FILE, steps.getvalue())
        if run.inventories:
            inventories = Inventories(format=INVENTORY_FORMAT, hosts=run.inventories)
            write_atomically(directory / INVENTORY_FILE, json_document(inventories))
        write_atomically(directory / RUN_FILE, json_document(run.header))
    except OSError as error:
        raise StoreError(f"{directory} cannot be written: {error.strerror}", remedy="another directory") from error
    return directory
