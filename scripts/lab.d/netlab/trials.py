"""Faults to try `netprobe check` with, and what it has to say of each.

The matrix of tests/labs and scripts/soak take their faults from here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from netlab.faults import Direction, Fault, Kind
from netlab.lab import Lab
from netlab.processes import is_rank, is_stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A fault, and the one finding that it calls for."""

    name: str
    """As in the table of the README."""
    detector: str
    says: str
    """What the summary holds: the direction, or what became of the process."""
    says_under_open_mpi: str = ""
    """The same, where its launcher names no signal and the peers' complaint is all there is; empty: no different."""
    strike: Callable[[Lab, str], None]
    """Do it to a host."""
    is_sudden: bool = False
    """Whether it strikes in the middle of the run, and not before it."""
    subjects: Callable[[str], tuple[str, ...]] = field(default=lambda host: (host,))
    """Who has to be named for it."""
    options: tuple[str, ...] = ()
    """Of `netprobe check`, for a fault that its random partners would miss by chance."""
    outlives: Callable[[int], bool] = field(default=lambda _: False)
    """Which processes on the host, by number, netprobe cannot end while the fault lasts."""


def put(kind: Kind, direction: Direction = Direction.BOTH, amount: float | None = None) -> Callable[[Lab, str], None]:
    """Return what puts a fault on a host."""
    return lambda lab, host: lab.inject(Fault(kind=kind, target=host, direction=direction, amount=amount))


def far_from(host: str) -> str:
    """Return a host on the other leaf: of eight, h3's is h7, and h7's is h3."""
    number = int(host.removeprefix("h"))
    return f"h{(number + 3) % 8 + 1}"


def _path(host: str) -> tuple[str, ...]:
    return (f"{host} -> {far_from(host)}",)


def _lose_on_path(lab: Lab, host: str) -> None:
    target = f"{host}/{far_from(host)}"
    lab.inject(Fault(kind=Kind.PATH_LOSS, target=target, direction=Direction.TX, amount=0.02))


def _kill_host(lab: Lab, host: str) -> None:
    lab.kill_host(host)


def _kill_rank(lab: Lab, host: str) -> None:
    lab.kill_rank(host)


def _split(lab: Lab, host: str) -> None:
    """Cut a host and its neighbour off from all others."""
    pair = _pair_with(host)
    rest = [name for name in lab.shape.host_names() if name.startswith("h") and name not in pair]
    lab.inject(Fault(kind=Kind.PARTITION, target=f"{','.join(pair)}/{','.join(rest)}"))


def _pair_with(host: str) -> tuple[str, ...]:
    number = int(host.removeprefix("h"))
    first = number - 1 + number % 2
    return (f"h{first}", f"h{first + 1}")


def _anything(_: int) -> bool:
    return True


def _stopped_launcher(pid: int) -> bool:
    """Return whether a process is stopped and no rank: netprobe finds ranks by a mark that the launcher's own lack."""
    return is_stopped(pid) and not is_rank(pid)


def _slow_down(direction: Direction) -> Callable[[Lab, str], None]:
    """Return what lets a host's port carry a third of what the others do."""
    return lambda lab, host: put(Kind.RATE, direction, (lab.shape.rate_bps or 10**9) // 3)(lab, host)


TX, RX = Direction.TX, Direction.RX
TRIALS: Final = (
    Trial(name="1 % of what it sends is lost", detector="packet-loss", says="(tx)", strike=put(Kind.LOSS, TX, 0.01)),
    Trial(name="1 % of what it receives is lost", detector="packet-loss", says="(rx)",
          strike=put(Kind.LOSS, RX, 0.01)),
    Trial(name="2 % lost on one path, one way", detector="packet-loss", says="loses", strike=_lose_on_path,
          subjects=_path, options=("--all-pairs",)),
    Trial(name="its port sends at a third of the rate", detector="slow-link", says="sends",
          strike=_slow_down(TX)),
    Trial(name="its port receives at a third of the rate", detector="slow-link", says="receives",
          strike=_slow_down(RX)),
    Trial(name="its packets above 1,500 bytes vanish", detector="mtu", says="vanish", is_sudden=True,
          strike=put(Kind.MTU, Direction.BOTH, 1500)),
    Trial(name="nine tenths of its processor are taken away", detector="host-noise", says="quota",
          strike=put(Kind.CPU, amount=0.1)),
    Trial(name="it is down before the run", detector="dead-host", says="unreachable", strike=_kill_host),
    Trial(name="it goes down", detector="dead-host", says="unreachable", is_sudden=True, strike=_kill_host),
    Trial(name="all of its cables are cut", detector="dead-host", says="unreachable", is_sudden=True,
          strike=put(Kind.CUT), outlives=_anything),
    Trial(name="its rank is killed", detector="dead-host", says="killed by signal 9",
          says_under_open_mpi="lost the connection", is_sudden=True,
          strike=_kill_rank),
    Trial(name="its processes are stopped", detector="hung-host", says="stopped", is_sudden=True,
          strike=put(Kind.PAUSE), outlives=_stopped_launcher),
    Trial(name="its rank is frozen", detector="hung-host", says="process does nothing", is_sudden=True,
          strike=put(Kind.STALL)),
    Trial(name="it and its neighbour are cut off", detector="partition", says="cut off", is_sudden=True,
          strike=_split, subjects=_pair_with),
)  # fmt: skip
