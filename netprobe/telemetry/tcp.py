"""TCP's and UDP's own account of loss: /proc/net/snmp and /proc/net/netstat of the network namespace of this process.

They count all connections of a host (a container), not only those under test. What each counter means:
https://docs.kernel.org/networking/snmp_counter.html
"""

from collections.abc import Iterator, Mapping
from typing import Final

from netprobe.contracts import Source, System
from netprobe.system.files import count_of, text_of

FILES: Final = ("snmp", "netstat")
WANTED: Final = {
    "Tcp": ("tcp", frozenset({"InSegs", "OutSegs", "RetransSegs", "InErrs", "InCsumErrors"})),
    "TcpExt": (
        "tcp",
        frozenset(
            {
                "TCPOrigDataSent",  # segments with new data: what can be lost and noticed; OutSegs has bare ACKs too
                "TCPTimeouts",
                "TCPSynRetrans",
                "TCPLostRetransmit",
                "TCPFastRetrans",
                "TCPSlowStartRetrans",
                "TCPLossProbes",
                "TCPSpuriousRTOs",
                "TCPDSACKRecv",  # the receiver had it twice: sent again for nothing
                "TCPDSACKRecvSegs",  # the same by segments, since Linux 5.13
                "TCPDSACKOldSent",
                "TCPOFOQueue",  # the receiver's view: something before this is missing
                "TCPRcvQDrop",  # dropped by the receiving host itself, from here on
                "TCPBacklogDrop",
                "TCPZeroWindowDrop",
            }
        ),
    ),
    "Udp": ("udp", frozenset({"InErrors", "RcvbufErrors"})),
}


def read(system: System) -> Mapping[str, int]:
    """Return the counters of both files."""
    return {name: count for file in FILES for name, count in parse(text_of(system.root / "proc/net" / file))}


def parse(text: str) -> Iterator[tuple[str, int]]:
    """Yield the wanted counters: pairs of lines, ``Tcp: name name`` and then ``Tcp: count count``."""
    names: dict[str, list[str]] = {}
    for line in text.splitlines():
        group, _, rest = line.partition(":")
        if group not in WANTED:
            continue
        if group not in names:
            names[group] = rest.split()
            continue
        prefix, wanted = WANTED[group]
        # A kernel has as many counts as names; a torn file may not.
        for name, value in zip(names[group], rest.split(), strict=False):
            if name in wanted and (count := count_of(value)) is not None:
                yield f"{prefix}/{name}", count


SOURCE = Source(id="tcp", title="loss as TCP and UDP see it", is_per_host=True, read=read)
