"""Names that several drivers use alike, and those that stand beside counters without being any."""

from functools import partial
from typing import Final

from netprobe.catalogue.counter import Behaviour, Counter, Table, Weight
from netprobe.model.meaning import Meaning

_rdma = partial(Counter, source="Linux drivers/infiniband/hw/{bnxt_re,efa,mana}: traffic of the RDMA side alone")
_kernel = partial(
    Counter, source="Linux drivers/net/ethernet: mostly what passes the kernel, not RDMA; on bnxt_en all of the port"
)

RDMA: Final[Table] = {
    "tx_bytes": _rdma(meaning=Meaning.RDMA_SENT_BYTES, title="RDMA bytes sent", unit="bytes"),
    "rx_bytes": _rdma(meaning=Meaning.RDMA_RECEIVED_BYTES, title="RDMA bytes received", unit="bytes"),
    "tx_pkts": _rdma(meaning=Meaning.RDMA_SENT_PACKETS, title="RDMA packets sent"),
    "rx_pkts": _rdma(meaning=Meaning.RDMA_RECEIVED_PACKETS, title="RDMA packets received"),
    "tx_packets": _rdma(meaning=Meaning.RDMA_SENT_PACKETS, title="RDMA packets sent"),
    "rx_packets": _rdma(meaning=Meaning.RDMA_RECEIVED_PACKETS, title="RDMA packets received"),
    "lifespan": Counter(
        title="for how long the kernel answers with what it read before",
        unit="ns",
        scale=1_000_000,
        behaviour=Behaviour.SETTING,
        source="Linux Documentation/ABI/stable/sysfs-class-infiniband",
    ),
    "clear_counters": Counter(
        title="a control that resets counters when written", unit="", behaviour=Behaviour.SETTING, source="MLNX_OFED"
    ),
}

ETHTOOL: Final[Table] = {
    "rx_packets": _kernel(title="packets received by the interface"),
    "tx_packets": _kernel(title="packets sent by the interface"),
    "rx_bytes": _kernel(title="bytes received by the interface", unit="bytes"),
    "tx_bytes": _kernel(title="bytes sent by the interface", unit="bytes"),
    "rx_dropped": _kernel(
        meaning=Meaning.RING_DISCARD, title="packets dropped for lack of a descriptor", weight=Weight.NOTE
    ),
    "tx_errors": _kernel(title="packets not sent for an error", weight=Weight.NOTE),
    "tx_timeout": _kernel(title="times sending hung until the kernel noticed", unit="events", weight=Weight.WARN),
}
