"""Baselines: digests with a name, each a file of its own in the folder ``baselines`` of a folder of runs."""

import re
from datetime import datetime
from pathlib import Path
from typing import Final

from netprobe.errors import PlanError, StoreError
from netprobe.model.history import Baseline, Digest
from netprobe.registry import suggestion
from netprobe.store.digest import read_baseline_file, write_digest
from netprobe.store.history import BASELINES

SUFFIX: Final = ".parquet"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def set_baseline(root: Path, name: str, digest: Digest, at: datetime, *, replaces: bool) -> Path:
    """Write a baseline in one step and return its file; PlanError for a name that is none, or that is taken."""
    file = _file_of(root, name)
    if file.exists() and not replaces:
        raise PlanError(f"there is a baseline called {name} already", remedy="--replace, or another name")
    try:
        file.parent.mkdir(exist_ok=True)
        write_digest(file, digest, baseline=(name, at))
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}", remedy="the rights of the folder") from error
    return file


def read_baseline(root: Path, name: str) -> Baseline:
    """Return a baseline; PlanError where there is none of this name, StoreError where it is damaged."""
    file = _file_of(root, name)
    if not file.is_file():
        raise PlanError(
            f"there is no baseline called {name!r}",
            remedy=suggestion(name, baseline_names(root)) or "netprobe baseline set NAME",
        )
    return read_baseline_file(file)


def baseline_names(root: Path) -> tuple[str, ...]:
    """Return the names of all baselines of a folder."""
    folder = root / BASELINES
    if not folder.is_dir():
        return ()
    found = (each.name.removesuffix(SUFFIX) for each in folder.iterdir() if each.name.endswith(SUFFIX))
    return tuple(sorted(name for name in found if NAME.fullmatch(name)))


def _file_of(root: Path, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise PlanError(
            f"{name!r} is no name for a baseline", remedy="letters, digits, - _ and ., such as acceptance-2026"
        )
    return root / BASELINES / f"{name}{SUFFIX}"
