"""netprobe's own topology files, TOML or JSON: a table for each leaf switch. See docs/topology.md."""

import tomllib
from typing import Annotated, Final

import msgspec

from netprobe.errors import PlanError
from netprobe.launch.hosts import expanded
from netprobe.model.topology import Leaf

_LOOKS_LIKE: Final = '[[leaf]] switch = "leaf1", hosts = "node[01-16]" (rail, spines, uplinks where they are known)'

Switch = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:/-]*$", max_length=128)]


class _Leaf(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    switch: Switch
    hosts: Annotated[str, msgspec.Meta(min_length=1)]
    rail: Annotated[int, msgspec.Meta(ge=0, le=1023)] | None = None
    spines: tuple[Switch, ...] = ()
    uplinks: Annotated[int, msgspec.Meta(ge=1, le=65_536)] | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    leaf: list[_Leaf]


def parse_toml(text: str, where: str) -> tuple[Leaf, ...]:
    """Return the leaves of TOML text; PlanError, which begins with ``where``, names the line or the field."""
    try:
        return _leaves(msgspec.convert(tomllib.loads(text), _File), where)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError, ValueError) as error:
        raise _refused(where, error) from error


def parse_json(text: str, where: str) -> tuple[Leaf, ...]:
    """Return the leaves of JSON text; as parse_toml."""
    try:
        return _leaves(msgspec.json.decode(text, type=_File), where)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise _refused(where, error) from error


def _leaves(told: _File, where: str) -> tuple[Leaf, ...]:
    if not told.leaf:
        raise PlanError(f"{where} names no leaf", remedy=_LOOKS_LIKE)
    for number, leaf in enumerate(told.leaf, start=1):
        at = f"{where}, leaf {number} ({leaf.switch})"
        expanded(leaf.hosts, f"{at}: {leaf.hosts!r}")
        if len(set(leaf.spines)) < len(leaf.spines):
            raise PlanError(f"{at} names a spine twice", remedy="uplinks = 2 for two links to each spine")
        if leaf.switch in leaf.spines:
            raise PlanError(f"{at} is its own spine", remedy="spines of other names")
    _refuse_circles(told.leaf, where)
    return tuple(
        Leaf(switch=each.switch, hosts=each.hosts, rail=each.rail, spines=each.spines, uplinks=each.uplinks)
        for each in told.leaf
    )


def _refuse_circles(leaves: list[_Leaf], where: str) -> None:
    """Raise PlanError where a leaf is another's spine: what lies above would lie below as well."""
    switches = {leaf.switch for leaf in leaves}
    for leaf in leaves:
        low = next((spine for spine in leaf.spines if spine in switches), None)
        if low is not None:
            raise PlanError(
                f"{where}: {low} is a leaf, and a spine of {leaf.switch}", remedy="spines that are no leaves"
            )


def _refused(where: str, error: Exception) -> PlanError:
    why = "it is nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())
    return PlanError(f"{where}: {why}", remedy=_LOOKS_LIKE)
