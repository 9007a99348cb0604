"""Which switch port is at the other end of each cable: ``lldpcli -f json`` (or json0), or a list that the site keeps.

https://lldpd.github.io/usage.html
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from netprobe.errors import FormatError
from netprobe.model.inventory import HostInventory, Neighbour

COLUMNS: Final = ("host", "netdev", "switch", "port")
REMEDY: Final = "lldpcli -f json show neighbors"


def parse(text: str, origin: str) -> dict[str, Neighbour]:
    """Return the neighbour of each interface; one that hears of several is left out, since nobody knows which it is.

    Raises FormatError when it is not what lldpcli prints.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise FormatError(f"{origin}{where} is no JSON", remedy=REMEDY) from error
    if not isinstance(told, dict) or "lldp" not in told:
        raise FormatError(f"{origin} has no LLDP neighbours", remedy=REMEDY)
    found: dict[str, set[Neighbour]] = {}
    for netdev, body in _interfaces(told["lldp"]):
        system, port = _system(body), _port(body)
        if system and port:
            found.setdefault(netdev, set()).add(Neighbour(system=system, port=port, origin=origin))
    return {netdev: next(iter(neighbours)) for netdev, neighbours in found.items() if len(neighbours) == 1}


def parse_site(text: str, origin: str) -> dict[tuple[str, str], Neighbour]:
    """Return the neighbour of each (host, interface) in lines of ``host,netdev,switch,port``; ``#`` begins a remark.

    Raises FormatError that names the line when one has other columns, or says otherwise than an earlier one.
    """
    found: dict[tuple[str, str], Neighbour] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        columns = _columns(line, f"{origin} line {number}")
        if not columns or columns == COLUMNS:
            continue
        host, netdev, system, port = columns
        neighbour = Neighbour(system=system, port=port, origin=origin)
        if found.setdefault((host, netdev), neighbour) != neighbour:
            raise FormatError(f"{origin} line {number} has another port for {host} {netdev} than an earlier line")
    return found


def with_neighbours(inventory: HostInventory, neighbours: Mapping[str, Neighbour]) -> HostInventory:
    """Return an inventory with the neighbours of its interfaces; those without keep what they have."""
    return replace(
        inventory,
        net_devices=tuple(
            replace(each, neighbour=neighbours.get(each.name, each.neighbour)) for each in inventory.net_devices
        ),
    )


def _columns(line: str, where: str) -> tuple[str, ...]:
    """Return the four columns of a line; none for an empty one or a remark."""
    if not line.strip() or line.lstrip().startswith("#"):
        return ()
    try:
        columns = tuple(column.strip() for column in next(csv.reader([line])))
    except csv.Error as error:
        raise FormatError(f"{where} is no line of a table: {error}") from error
    if len(columns) != len(COLUMNS) or not all(columns):
        raise FormatError(f"{where} has {len(columns)} columns", remedy=",".join(COLUMNS))
    return columns


def _interfaces(told: object) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield name and body of each interface: in json0 the name is a field, in json it is the key."""
    for lldp in _each(told):
        for interface in _each(lldp.get("interface")):
            name = interface.get("name")
            if isinstance(name, str):
                yield name, interface
            else:
                yield from ((key, body) for key, bodies in interface.items() for body in _each(bodies))


def _system(body: dict[str, object]) -> str | None:
    """Return the switch's name, or else its identifier; in json the name is the key, in json0 a field."""
    for chassis in _each(body.get("chassis")):
        named = _text(chassis.get("name")) or _identifier(chassis)[1]
        if named is not None:
            return named
        for name, inner in chassis.items():
            if name and isinstance(inner, dict):
                return name
    return None


def _port(body: dict[str, object]) -> str | None:
    """Return the port's name; where that is an address of the hardware, its description is what people know."""
    for port in _each(body.get("port")):
        kind, identifier = _identifier(port)
        description = _text(port.get("descr"))
        return description if kind == "mac" and description else identifier or description
    return None


def _identifier(body: dict[str, object]) -> tuple[str | None, str | None]:
    """Return kind and value of an identifier: ``ifname``, ``mac``, …"""
    for identifier in _each(body.get("id")):
        if "value" in identifier:
            return _text(identifier.get("type")), _text(identifier["value"])
    return None, None


def _each(value: object) -> Iterator[dict[str, object]]:
    """Yield the objects of a list; or the value, when it is one itself."""
    return (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict))


def _text(value: object) -> str | None:
    """Return a text, whether it stands alone or as json0's ``[{"value": …}]``; None for an empty one."""
    if isinstance(value, str):
        return value.strip() or None
    return next((text for each in _each(value) if (text := _text(each.get("value"))) is not None), None)
