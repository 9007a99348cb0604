"""Find plug-ins: every public module of a plug-in package holds one upper-case constant with its record."""

import importlib
import pkgutil
from functools import cache
from typing import TypeVar

from netprobe.contracts import Detector, HistoryDetector, Probe, Reporter, Source
from netprobe.errors import PlanError

T = TypeVar("T", Probe, Source, Detector, HistoryDetector, Reporter)


@cache
def probes() -> dict[str, Probe]:
    """Return all probes by id."""
    return _collect("netprobe.probes", "PROBE", Probe)


@cache
def sources() -> dict[str, Source]:
    """Return all sources of counters by id."""
    return _collect("netprobe.telemetry", "SOURCE", Source)


@cache
def detectors() -> dict[str, Detector]:
    """Return all detectors by id."""
    return _collect("netprobe.detectors", "DETECTOR", Detector)


@cache
def history_detectors() -> dict[str, HistoryDetector]:
    """Return all detectors on histories by id."""
    return _collect("netprobe.history.detectors", "DETECTOR", HistoryDetector)


@cache
def reporters() -> dict[str, Reporter]:
    """Return all reporters by id."""
    return _collect("netprobe.reporters", "REPORTER", Reporter)


def pick(kind: str, found: dict[str, T], name: str) -> T:
    """Return the plug-in called ``name``; raise PlanError that names the nearest and lists all."""
    if name in found:
        return found[name]
    raise PlanError(f"there is no {kind} called {name!r}", remedy=suggestion(name, tuple(found)))


def suggestion(name: str, known: tuple[str, ...]) -> str:
    """Return the nearest known name, or all of them when none is near."""
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    return near[0] if near else ", ".join(sorted(known))


def _collect(package_name: str, constant: str, kind: type[T]) -> dict[str, T]:
    package = importlib.import_module(package_name)
    found: dict[str, T] = {}
    for module_info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if module_info.name.startswith("_"):
            continue
        plugin = getattr(importlib.import_module(f"{package_name}.{module_info.name}"), constant)
        if not isinstance(plugin, kind):
            raise TypeError(f"{package_name}.{module_info.name}.{constant} is no {kind.__name__}")
        found[plugin.id] = plugin
    return found
