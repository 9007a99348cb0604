"""What is wrong with a simulated fabric: files of faults, drawn by a seed into certain parts and certain values.

A file has its name and truth at the top, and one ``[[fault]]`` for each thing that is wrong (docs/simulator.md). Where
a value is a range, it is drawn: evenly, or evenly in its logarithm where the range spans a factor of ten or more.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np

from netprobe.errors import PlanError
from netprobe.registry import suggestion
from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric
from netprobe.sim.kinds import KINDS, Kind
from netprobe.sim.places import Place, places_of

EXAMPLE: Final = 'a file of [[fault]], each with kind = "lossy-link" (docs/simulator.md)'
ANY: Final = "any"
LOGARITHMIC: Final = 10.0
OF_LINE: Final = ("kind", "at")

Value = float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultLine:
    """One thing that is wrong, as it is written."""

    kind: str
    at: str = ANY
    """A place by name, or ``any``: drawn."""
    values: Mapping[str, Value | Sequence[Value]]
    """Beside the defaults of its kind: numbers, ranges of two numbers, or lists of words to choose from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultFile:
    """Faults that belong together, and what is to be said of them."""

    fault: str
    """``F01``."""
    title: str
    detectors: tuple[str, ...] = ()
    """Any of these names the cause rightly; empty: nothing is expected of netprobe today, and ``expected`` says why."""
    also: tuple[str, ...] = ()
    """Detectors that may tell of the same beside it, without being wrong."""
    expected: str = ""
    """What netprobe says of it today, where that is not a finding."""
    lines: tuple[FaultLine, ...] = ()

    @property
    def is_exercised(self) -> bool:
        """Whether netprobe measures what would show it."""
        return bool(self.detectors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """The truth about one thing that is wrong."""

    fault: str
    kind: str
    culprit: str
    """As reports name it: ``node0003 mlx5_1``, ``node0003``, ``leaf leaf01``, ``fabric``."""
    hosts: tuple[str, ...]
    """Who may be blamed for it: of a leaf, those behind it."""
    values: Mapping[str, Value]
    detectors: tuple[str, ...]
    also: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    """What reports may call it as well: the ports of its leaf."""


def read_faults(path: Path) -> FaultFile:
    """Return a file's faults; PlanError when it cannot be read, or says what nobody understands."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PlanError(f"--faults {path} is not text in UTF-8", remedy=EXAMPLE) from error
    except OSError as error:
        raise PlanError(f"--faults {path} cannot be read: {error.strerror}", remedy=EXAMPLE) from error
    return parse_faults(text, str(path))


def parse_faults(text: str, name: str) -> FaultFile:
    """Return the faults of a file's text; ``name`` is the file's, for PlanError."""
    try:
        top = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PlanError(f"--faults {name} is no TOML: {error}", remedy=EXAMPLE) from error
    told = top.pop("fault", None)
    lines = told if isinstance(told, list) else []
    known = [each.name for each in fields(FaultFile) if each.name not in ("fault", "lines")]
    for key in top:
        if key not in (*known, "id"):
            raise PlanError(f"--faults {name}: there is no {key!r} at its top", remedy=suggestion(key, (*known, "id")))
    if not lines and not top.get("expected"):
        raise PlanError(f"--faults {name} holds no [[fault]]", remedy=EXAMPLE)
    return FaultFile(
        fault=_text(top, "id", name),
        title=_text(top, "title", name),
        detectors=_words(top, "detectors", name),
        also=_words(top, "also", name),
        expected=_text(top, "expected", name),
        lines=tuple(_line(each, f"--faults {name}: fault {number}") for number, each in enumerate(lines, start=1)),
    )


def _text(top: Mapping[str, object], key: str, name: str) -> str:
    value = top.get(key, "")
    if not isinstance(value, str):
        raise PlanError(f"--faults {name}: {key} must be a text, not {value!r}", remedy=EXAMPLE)
    return value


def _words(top: Mapping[str, object], key: str, name: str) -> tuple[str, ...]:
    value = top.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise PlanError(f"--faults {name}: {key} must be a list of texts", remedy=f'{key} = ["packet-loss"]')
    return tuple(value)


def _line(told: object, where: str) -> FaultLine:
    if not isinstance(told, dict):
        raise PlanError(f"{where} is no table", remedy=EXAMPLE)
    kind = told.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise PlanError(f"{where}: there is no kind {kind!r}", remedy=suggestion(str(kind), tuple(KINDS)))
    known = KINDS[kind]
    values = {key: value for key, value in told.items() if key not in OF_LINE}
    for key, value in values.items():
        if key not in known.values:
            raise PlanError(f"{where}: {kind} has no {key!r}", remedy=suggestion(key, (*known.values, *OF_LINE)))
        _refuse_unfit(known, key, value, where)
    at = told.get("at", ANY)
    if not isinstance(at, str):
        raise PlanError(f"{where}: at must be the name of a place, not {at!r}", remedy=f'at = "{ANY}"')
    return FaultLine(kind=kind, at=at, values=values)


def _refuse_unfit(kind: Kind, key: str, value: object, where: str) -> None:
    told = kind.values[key]
    allowed = told if isinstance(told, tuple) else (told,)
    every = value if isinstance(value, list) else [value]
    if isinstance(allowed[0], str):
        if not every or any(each not in allowed for each in every):
            raise PlanError(f"{where}: {key} is {value!r}", remedy=" or ".join(map(str, allowed)))
        return
    numbers = [each for each in every if isinstance(each, (int, float)) and not isinstance(each, bool)]
    if len(numbers) != len(every) or len(every) not in (1, 2) or any(not 0 <= each < np.inf for each in numbers):
        raise PlanError(f"{where}: {key} must be a number, or a range of two, not {value!r}", remedy=f"{key} = [1, 2]")
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        raise PlanError(f"{where}: {key} begins above its end: {value!r}", remedy="the smaller number first")


def inject(files: Sequence[FaultFile], fabric: Fabric, condition: Condition, seed: int) -> tuple[Injected, ...]:
    """Put faults into a condition, and return the truth about them; PlanError for a place that is not there.

    Places that are drawn are of different hosts, as far as there are any.
    """
    random = np.random.default_rng([seed, 2])
    taken: set[str] = set()
    truths = []
    for file in files:
        for line in file.lines:
            kind = KINDS[line.kind]
            place = _place(line, kind, fabric, taken, random)
            taken |= {place.name, *(place.hosts if len(place.hosts) < len(fabric.hosts) else ())}
            values = {key: _drawn(line.values.get(key, default), random) for key, default in kind.values.items()}
            other = kind.apply(fabric, condition, place, values, random)
            also = () if other is None else (other.name, *other.aliases)
            truths.append(
                Injected(
                    fault=file.fault, kind=line.kind, culprit=place.name, values=values,
                    hosts=tuple(dict.fromkeys((*place.hosts, *(() if other is None else other.hosts)))),
                    detectors=file.detectors, also=file.also, aliases=(*place.aliases, *also),
                )
            )  # fmt: skip
    return tuple(truths)


def _place(line: FaultLine, kind: Kind, fabric: Fabric, taken: set[str], random: np.random.Generator) -> Place:
    places = places_of(kind.place, fabric)
    if line.at != ANY:
        wanted = [each for each in places if line.at in (each.name, each.name.removeprefix("leaf "))]
        if not wanted:
            names = tuple(each.name for each in places)
            near = suggestion(line.at, names[:1000]) if len(names) > 1 else names[0]
            raise PlanError(f"{line.kind}: there is no {kind.place} {line.at!r} in this fabric", remedy=near)
        return wanted[0]
    free = [each for each in places if each.name not in taken and not taken.intersection(each.hosts)]
    return (free or places)[int(random.integers(len(free or places)))]


def _drawn(value: Value | Sequence[Value], random: np.random.Generator) -> Value:
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value[0], str):
        return value[int(random.integers(len(value)))]
    low, high = float(value[0]), float(value[-1])
    if low > 0 and high / low >= LOGARITHMIC:
        return float(np.exp(random.uniform(np.log(low), np.log(high))))
    return float(random.uniform(low, high))
