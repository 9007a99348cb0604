"""What a shell offers after a tab: names of plug-ins, read from the names of their files, for nobody waits for imports.

Files and directories are left to the shell. Every function takes what was typed so far and returns what begins with it.
"""

import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1]


def detector_names(incomplete: str) -> list[str]:
    """Return detectors, of runs and of histories."""
    return _beginning(incomplete, (name.replace("_", "-") for name in _modules("detectors", "history/detectors")))


def probe_names(incomplete: str) -> list[str]:
    """Return probes."""
    return _beginning(incomplete, _modules("probes"))


def format_names(incomplete: str) -> list[str]:
    """Return formats of reports."""
    return _beginning(incomplete, (name.replace("_", "-") for name in _modules("reporters")))


def _modules(*folders: str) -> Iterator[str]:
    """Yield public modules: each is a plug-in (registry)."""
    found = pkgutil.iter_modules([str(PACKAGE / folder) for folder in folders])
    return (each.name for each in found if not each.name.startswith("_"))


def _beginning(incomplete: str, names: Iterator[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
