"""What is really wrong with a simulated fabric: kept beside the run directory, where no detector looks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netprobe.errors import StoreError
from netprobe.sim.faults import Injected
from netprobe.store.encoding import json_document
from netprobe.store.files import write_atomically

TRUTH_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """RUN.truth.json."""

    format: int
    run: str
    seed: int
    nics: int
    injected: tuple[Injected, ...]


def write_truth(root: Path, truth: Truth) -> Path:
    """Write the truth beside the run directory ``root/RUN``, and return where; StoreError when it cannot be."""
    file = root / f"{truth.run}.truth.json"
    try:
        write_atomically(file, json_document(truth))
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}", remedy="another directory") from error
    return file
