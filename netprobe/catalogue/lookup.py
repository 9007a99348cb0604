"""Find a counter in the catalogue by who counts it and what the driver calls it.

Names are looked up in one table for all drivers, since they borrow each other's; then the name is guessed at.
"""

import re
from dataclasses import replace
from functools import lru_cache
from typing import Final

from netprobe.catalogue import (
    bnxt,
    bnxt_ethtool,
    cloud,
    infiniband,
    intel,
    ionic,
    mlx5_ethtool,
    mlx5_rdma,
    others,
    shared,
)
from netprobe.catalogue.counter import Behaviour, Counter, Table
from netprobe.catalogue.guesses import guessed
from netprobe.catalogue.keys import Origin

BY_DRIVER: Final[dict[tuple[Origin, str], Table]] = {
    (Origin.RDMA, "shared"): shared.RDMA,
    (Origin.RDMA, "infiniband"): infiniband.RDMA,
    (Origin.RDMA, "perfquery"): infiniband.PERFQUERY,
    (Origin.RDMA, "mlx5_ib"): mlx5_rdma.RDMA,
    (Origin.RDMA, "bnxt_re"): bnxt.RDMA,
    (Origin.RDMA, "ionic_rdma"): ionic.RDMA,
    (Origin.RDMA, "irdma"): intel.RDMA,
    (Origin.RDMA, "efa"): cloud.EFA,
    (Origin.RDMA, "mana_ib"): cloud.MANA,
    (Origin.RDMA, "erdma"): cloud.ERDMA,
    (Origin.RDMA, "rxe"): others.RXE,
    (Origin.RDMA, "mlx4_ib"): others.MLX4,
    (Origin.RDMA, "hfi1"): others.HFI1,
    (Origin.RDMA, "hns_roce"): others.HNS,
    (Origin.ETHTOOL, "shared"): shared.ETHTOOL,
    (Origin.ETHTOOL, "mlx5_core"): mlx5_ethtool.ETHTOOL,
    (Origin.ETHTOOL, "bnxt_en"): bnxt_ethtool.ETHTOOL,
    (Origin.ETHTOOL, "ionic"): ionic.ETHTOOL,
    (Origin.ETHTOOL, "ice"): intel.ETHTOOL,
    (Origin.ETHTOOL, "ena"): cloud.ETHTOOL,
}
"""What each driver adds; no name is in two of an origin."""

KNOWN: Final[dict[Origin, Table]] = {
    origin: {name: row for (own, _), table in BY_DRIVER.items() if own is origin for name, row in table.items()}
    for origin in Origin
}

OF_A_RING: Final = re.compile(
    r"\[\d+\]:"  # bnxt_en: [3]: rx_discards
    r"|(?:rx|tx|ch)\d+_"  # mlx5_core: rx3_packets
    r"|(?:rx|tx)_\d+_"  # ionic, mana: rx_3_bytes
    r"|(?:(?:rx|tx)[-_])?queue[-_]\d+[-_]"  # ice, ena, virtio: rx_queue_3_packets, queue_3_tx_cnt
    r"|(?:rx|tx)q#?\d+_"  # hns3: rxq3_packets
)
OF_THE_KERNEL: Final = re.compile(r"(?:^|_)(?:xdp|xsk|k?tls|ipsec|macsec|ptp|tso|lro|gro|csum|arfs|pp|cache)(?:_|$)")
"""Offloads of the kernel's network stack, which traffic under test does not pass."""
WIDTH_IN_NAME: Final = ",32"
"""hfi1 leaves the width in the names of its counters of 32 bits: ``SwLinkUp,32``."""


@lru_cache(maxsize=1 << 14)
def counter_of(origin: Origin, name: str) -> Counter | None:
    """Return what is known of a counter, or guessed from its name; None for one that tells nothing."""
    counter = _named(origin, name.removesuffix(WIDTH_IN_NAME))
    return replace(counter, width_bits=32) if counter is not None and name.endswith(WIDTH_IN_NAME) else counter


def is_told(origin: Origin, name: str) -> bool:
    """Return whether what stands under a name tells anything: no setting, and nothing of rings and offloads."""
    counter = counter_of(origin, name)
    return counter is not None and counter.behaviour is not Behaviour.SETTING


def _named(origin: Origin, name: str) -> Counter | None:
    known = KNOWN[origin].get(name)
    if known is not None:
        return known
    tells_nothing = origin is Origin.ETHTOOL and (OF_A_RING.match(name) or OF_THE_KERNEL.search(name))
    return None if tells_nothing else guessed(origin, name)
