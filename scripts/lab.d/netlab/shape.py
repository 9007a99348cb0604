"""What a lab looks like: its hosts, leaves and rate, and the names and addresses that follow from them. Pure."""

import re
from dataclasses import asdict, dataclass
from typing import Final, Self

from netlab.errors import LabError

MOST_HOSTS: Final = 200
"""One byte of the address, less what the login host takes."""
LOGIN: Final = "login"
FABRIC: Final = "fabric"
DATA_DEVICE: Final = "fab0"
MANAGEMENT_DEVICE: Final = "mg0"
DATA_NETWORK: Final = "10.77.0.0/24"
MANAGEMENT_NETWORK: Final = "10.78.0.0/24"
_LOGIN_NUMBER: Final = 250

_LAB_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)([kmg])bit")
_FACTORS: Final = {"k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host, or the login host."""

    name: str
    number: int
    leaf: int | None
    """None for the login host, which is on the management network alone."""

    @property
    def data_address(self) -> str:
        """Its address on the fabric."""
        return f"10.77.0.{self.number}"

    @property
    def management_address(self) -> str:
        """Its address on the management network, by which the launcher reaches it."""
        return f"10.78.0.{self.number}"

    @property
    def data_mac(self) -> str:
        """The hardware address of its fabric port: fixed, since neighbours are entered by hand."""
        return f"02:4d:00:00:00:{self.number:02x}"

    @property
    def management_mac(self) -> str:
        """The hardware address of its port on the management network."""
        return f"02:4e:00:00:00:{self.number:02x}"

    @property
    def data_port(self) -> str:
        """The leaf's end of its fabric cable."""
        return self.name

    @property
    def management_port(self) -> str:
        """The management switch's end of its cable."""
        return f"m-{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How many hosts on how many leaves, and how fast."""

    hosts: int = 8
    leaves: int = 2
    rate_bps: int | None = None
    """Of each host's port, each way; None for what the machine can do."""
    mtu_bytes: int = 9000

    def __post_init__(self) -> None:
        if not 1 <= self.hosts <= MOST_HOSTS:
            raise LabError(f"{self.hosts} hosts cannot be made", remedy=f"1 to {MOST_HOSTS}")
        if not 1 <= self.leaves <= self.hosts:
            raise LabError(f"{self.leaves} leaves for {self.hosts} hosts", remedy="a host for each leaf")
        if not 576 <= self.mtu_bytes <= 9000:
            raise LabError(f"an MTU of {self.mtu_bytes} bytes cannot be made", remedy="576 to 9000")

    def host_names(self) -> tuple[str, ...]:
        """Return h1, h2, …"""
        return tuple(f"h{number}" for number in range(1, self.hosts + 1))

    def neighbours(self) -> tuple[Host, ...]:
        """Return every host and the login host."""
        return (*self.all_hosts(), self.host(LOGIN))

    def all_hosts(self) -> tuple[Host, ...]:
        """Return every host, leaf by leaf; the login host is not among them."""
        return tuple(self.host(name) for name in self.host_names())

    def host(self, name: str) -> Host:
        """Return the host with this name; LabError when there is none."""
        if name == LOGIN:
            return Host(name=LOGIN, number=_LOGIN_NUMBER, leaf=None)
        if name not in self.host_names():
            raise LabError(f"there is no host {name!r} in this lab", remedy=f"h1 to h{self.hosts}")
        number = int(name[1:])
        return Host(name=name, number=number, leaf=1 + (number - 1) * self.leaves // self.hosts)

    def on_leaf(self, leaf: int) -> tuple[str, ...]:
        """Return the names of the hosts on a leaf; LabError when there is no such leaf."""
        if not 1 <= leaf <= self.leaves:
            raise LabError(f"there is no leaf {leaf} in this lab", remedy=f"1 to {self.leaves}")
        return tuple(host.name for host in self.all_hosts() if host.leaf == leaf)

    def hosts_file(self) -> str:
        """Return /etc/hosts of every host: names are those of the management network, as on clusters."""
        lines = ["127.0.0.1 localhost", *(f"{host.management_address} {host.name}" for host in self.neighbours())]
        return "\n".join(lines) + "\n"

    def topology(self) -> str:
        """Return which leaf each host is on, as Slurm's topology.conf says it."""
        leaves = range(1, self.leaves + 1)
        lines = [f"SwitchName=leaf{leaf} Nodes={','.join(self.on_leaf(leaf))}" for leaf in leaves]
        return "\n".join([*lines, f"SwitchName=spine Switches={','.join(f'leaf{leaf}' for leaf in leaves)}"]) + "\n"

    def to_json(self) -> dict[str, int | None]:
        """Return what ``Shape(**…)`` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, int | None]) -> Self:
        """Return the shape that was written."""
        return cls(**fields)  # type: ignore[arg-type]

    def __str__(self) -> str:
        rate = "no rate limit" if self.rate_bps is None else rate_text(self.rate_bps)
        return f"{self.hosts} hosts on {self.leaves} leaves, {rate}, MTU {self.mtu_bytes}"


def checked_name(name: str) -> str:
    """Return the name of a lab; LabError when it could be the name of something else."""
    if not _LAB_NAME.fullmatch(name):
        raise LabError(f"{name!r} cannot be the name of a lab", remedy="lower-case letters, digits and dashes")
    return name


def rate_of(text: str) -> int:
    """Return the bits per second of ``100mbit``."""
    match = _RATE.fullmatch(text)
    bps = int(float(match[1]) * _FACTORS[match[2]]) if match else 0
    if bps < 8_000:
        raise LabError(f"{text!r} is not a rate", remedy="100mbit or 1gbit; at least 8kbit")
    return bps


def rate_text(rate_bps: int) -> str:
    """Return a rate as tc takes it."""
    for unit, factor in reversed(_FACTORS.items()):
        if rate_bps % factor == 0 and rate_bps >= factor:
            return f"{rate_bps // factor}{unit}bit"
    return f"{rate_bps}bit"
