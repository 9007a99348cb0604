"""What makes a host's figures comparable with those of another night: hardware, firmware, drivers, MPI, rates.

The kernel is among them: of drivers that come with it, its version is theirs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

from netprobe.model.history import HostFact
from netprobe.model.inventory import HostInventory
from netprobe.model.run import RunHeader


def facts_of(header: RunHeader, inventories: Iterable[HostInventory]) -> tuple[HostFact, ...]:
    """Return what is known of every host that took part; what is not known is absent."""
    known = {each.host: each for each in inventories}
    hosts = tuple(dict.fromkeys(rank.host for rank in header.ranks))
    gpus = _gpus_by_host(header)
    nccl = {each.host: each.version for each in header.nccl if each.version is not None}
    return tuple(
        HostFact(host=host, name=name, value=value)
        for host in hosts
        for name, value in {
            "MPI": header.launch.mpi,
            **_of_inventory(known.get(host)),
            **gpus.get(host, {}),
            "NCCL": nccl.get(host, ""),
        }.items()
        if value
    )


def fingerprint(facts: Mapping[str, str]) -> str:
    """Return a name of eight letters for what is known of a host."""
    return sha256("\n".join(f"{name}={facts[name]}" for name in sorted(facts)).encode()).hexdigest()[:8]


def _of_inventory(inventory: HostInventory | None) -> dict[str, str]:
    if inventory is None:
        return {}
    ports = inventory.rdma_ports
    return {
        "NIC": _all_of(port.model for port in ports),
        "NIC firmware": _all_of(port.firmware for port in ports),
        "NIC driver": _all_of(port.driver for port in ports),
        "NIC rate": _all_of(None if port.rate_gbps is None else f"{port.rate_gbps:g} Gb/s" for port in ports),
        "kernel": "" if inventory.system is None else inventory.system.kernel or "",
    }


def _gpus_by_host(header: RunHeader) -> dict[str, dict[str, str]]:
    host_of = {rank.rank: rank.host for rank in header.ranks}
    own: dict[str, list[tuple[str, str]]] = {}
    for gpu in header.gpus:
        own.setdefault(host_of[gpu.rank], []).append((gpu.name, gpu.driver))
    return {
        host: {"GPU": _all_of(name for name, _ in told), "CUDA": _all_of(driver for _, driver in told)}
        for host, told in own.items()
    }


def _all_of(values: Iterable[str | None]) -> str:
    """Return ``MT4129``, or ``7 x MT4129, MT4123`` where parts of a host differ."""
    count = Counter(value for value in values if value)
    if len(count) == 1:
        return next(iter(count))
    return ", ".join(_counted(count))


def _counted(count: Counter[str]) -> Iterator[str]:
    for value, times in sorted(count.items()):
        yield value if times == 1 else f"{times} x {value}"
