"""The table of expectations: the one shipped with the package, and a site's own file before it.

A file is a list of ``[[expectation]]`` (docs/expectations.md). An entry of a site goes before every shipped one that
fits the same measurement; with ``replace = true`` at its top, the shipped ones are not used at all.
"""

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import msgspec

from netprobe.errors import PlanError
from netprobe.model.collective import CALLS
from netprobe.model.expectation import Expectation, Kind
from netprobe.model.plan import Memory
from netprobe.model.plan import Path as Carrier
from netprobe.registry import suggestion
from netprobe.units import parse_size

SHIPPED: Final = "expectations.toml"
EXAMPLE: Final = "an entry as in docs/expectations.md"
PAIRS: Final = ("bandwidth", "latency")
COLLECTIVES: Final = tuple(id for id in CALLS if id not in ("barrier",))
FIGURES: Final = {
    "bandwidth": ("line_ratio",),
    "latency": ("latency_ns",),
    "copy": ("memory_gigabytes_per_s",),
    **dict.fromkeys(COLLECTIVES, ("busbw_gigabytes_per_s", "line_ratio")),
}
"""Which figures an entry of a probe can give."""
FOREIGN: Final = {
    "bandwidth": ("hosts", "gpus"),
    "latency": ("hosts", "gpus"),
    "copy": ("hosts", "gpus", "queue_pairs", "link_layer", "link_gbps", "nics", "path"),
    **dict.fromkeys(COLLECTIVES, ("queue_pairs", "link_layer")),
}
"""Keys that mean nothing for a probe."""
TOP: Final = ("expectation", "replace")

Count = Annotated[int, msgspec.Meta(ge=1)]
Words = Annotated[str, msgspec.Meta(min_length=1)]


class _Line(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An entry as it is written."""

    probe: str
    memory: Memory
    payload: str | int
    kind: Kind
    source: Words
    path: Carrier | None = None
    gpu: Words | None = None
    gpus: Count | None = None
    hosts: Count | None = None
    nics: Count | None = None
    link_gbps: float | None = None
    link_layer: Words | None = None
    queue_pairs: Count = 1
    line_ratio: float | None = None
    busbw_gigabytes_per_s: float | None = None
    memory_gigabytes_per_s: float | None = None
    latency_ns: float | None = None
    note: str = ""


def load_expectations(site: Path | None = None) -> tuple[Expectation, ...]:
    """Return the shipped table, with those of a site's file before them; PlanError that names file and entry."""
    shipped = files("netprobe.judge").joinpath(SHIPPED).read_text(encoding="utf-8")
    own = {} if site is None else _parsed(str(site), _text_of(site))
    of_site = _entries(str(site), own, is_site=True)
    return of_site if own.get("replace") else of_site + _entries(SHIPPED, _parsed(SHIPPED, shipped), is_site=False)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PlanError(f"{path} is not text in UTF-8", remedy="a TOML file of [[expectation]]") from error
    except OSError as error:
        raise PlanError(f"{path} cannot be read: {error.strerror}", remedy="the path of a TOML file") from error


def _parsed(name: str, text: str) -> Mapping[str, object]:
    try:
        top = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PlanError(f"{name} is no TOML: {error}", remedy=EXAMPLE) from error
    for key in top:
        if key not in TOP:
            raise PlanError(f"{name}: there is no {key!r} at its top", remedy=suggestion(key, TOP))
    if not isinstance(top.get("replace", False), bool):
        raise PlanError(f"{name}: replace must be true or false, not {top['replace']!r}", remedy="replace = true")
    return top


def _entries(name: str, top: Mapping[str, object], *, is_site: bool) -> tuple[Expectation, ...]:
    told = top.get("expectation", [])
    if not isinstance(told, list):
        raise PlanError(f"{name}: expectation must be a list of tables", remedy="[[expectation]], in two brackets")
    entries = tuple(_entry(f"{name}: expectation {number}", each, is_site) for number, each in enumerate(told, start=1))
    _refuse_twice(name, entries)
    return entries


def _entry(where: str, told: object, is_site: bool) -> Expectation:
    try:
        line = msgspec.convert(told, _Line)
        payload_bytes = line.payload if isinstance(line.payload, int) else parse_size(line.payload)
    except msgspec.ValidationError as error:
        raise PlanError(f"{where}: {_plain(str(error))}", remedy=EXAMPLE) from error
    except ValueError as error:
        raise PlanError(f"{where}: payload: {error}", remedy='payload = "8M"') from error
    for problem in _problems(line, payload_bytes, told if isinstance(told, dict) else {}):
        raise PlanError(f"{where}: {problem}", remedy=EXAMPLE)
    values = {each.name: getattr(line, each.name) for each in fields(Expectation) if hasattr(line, each.name)}
    values |= {"path": _carrier(line), "payload_bytes": payload_bytes, "is_site": is_site}
    return Expectation(**values)


def _plain(message: str) -> str:
    """Return what msgspec says, with the key in front instead of its place in a document."""
    problem, has_place, place = message.partition(" - at `$.")
    return f"{place.rstrip('`')}: {problem}" if has_place else problem


def _carrier(line: _Line) -> Carrier:
    """Return what carries it: where nobody says, verbs for pairs, and NCCL for collectives, whose figures they are."""
    return line.path or (Carrier.VERBS if line.probe in PAIRS else Carrier.NCCL)


def _problems(line: _Line, payload_bytes: int, told: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong with an entry, the first of which is told."""
    if line.probe not in FIGURES:
        yield f"probe: nothing is expected of {line.probe!r}, but of {', '.join(FIGURES)}"
        return
    allowed = FIGURES[line.probe]
    given = [name for names in FIGURES.values() for name in names if getattr(line, name) is not None]
    given = list(dict.fromkeys(given))
    if len(given) != 1 or given[0] not in allowed:
        yield f"{line.probe} takes one figure, {' or '.join(allowed)}, not {' and '.join(given) or 'none'}"
    yield from (f"{key} means nothing for {line.probe}" for key in FOREIGN[line.probe] if key in told)
    if (line.probe in PAIRS) is not (_carrier(line) is Carrier.VERBS):
        yield f"path: nobody expects anything of {line.probe} over {_carrier(line)}"
    yield from _wrong_numbers(line, payload_bytes, given)


def _wrong_numbers(line: _Line, payload_bytes: int, given: Iterable[str]) -> Iterator[str]:
    if payload_bytes < 1:
        yield f"payload: nothing is moved by {payload_bytes} bytes"
    for name in (*given, "link_gbps"):
        value = getattr(line, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            yield f"{name}: must be a number above 0, not {value}"
    if line.line_ratio is not None and line.line_ratio > 1:
        yield f"line_ratio: is a share of the line rate, at most 1, not {line.line_ratio}"
    if line.line_ratio is not None and line.probe in COLLECTIVES and (line.link_gbps is None or line.nics is None):
        yield f"line_ratio: of {line.probe} needs link_gbps and nics, to know what it is a share of"


def _refuse_twice(name: str, entries: Iterable[Expectation]) -> None:
    seen: dict[tuple[object, ...], int] = {}
    for number, each in enumerate(entries, start=1):
        first = seen.setdefault(each.key, number)
        if first != number:
            raise PlanError(
                f"{name}: expectation {number} has the key of expectation {first}, so that nobody knows which counts",
                remedy="one of them, with the other in its note",
            )
