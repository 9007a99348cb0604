"""Datagrams by netprobe._native: one UD queue pair, and loops that count without Python."""

import errno
import secrets
from typing import Final

import numpy as np

from netprobe import _native
from netprobe.contracts import Stamps
from netprobe.model.rdma import RdmaEndpoint, RdmaOptions
from netprobe.transports._native_calls import HOPS, flow_label, translated
from netprobe.transports._verbs_engine import Counted, DatagramFacts, NicClock, NoDatagrams
from netprobe.units import NS_PER_MS, NS_PER_S

KEY_BITS: Final = 31  # the highest bit of a queue key is the kernel's
PATIENCE_NS: Final = 5 * NS_PER_MS  # with an echo, beside what round trips took so far; a fabric takes microseconds
GRACE_NS: Final = 100 * NS_PER_MS  # with all that is missing in the end: a host may have had no core for so long
QUIET_NS: Final = NS_PER_S  # without a ping: the other end has gone, or nothing of it arrives
UNABLE: Final = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPROTONOSUPPORT)
"""What drivers say that have no such queue pairs: those of iWARP, and some of clouds."""
CREATING: Final = "ibv_create_qp for datagrams"


class NativeDatagrams:
    """_verbs_engine.EngineDatagrams by native code."""

    def __init__(self, device: object, endpoint: RdmaEndpoint) -> None:
        """Make the queue pair; NoDatagrams where the device has none of this kind."""
        self._is_routed = endpoint.link_layer != "InfiniBand"
        key = secrets.randbits(KEY_BITS)
        with translated():
            try:
                made = _native.verbs_datagrams(device, endpoint.port, endpoint.gid_index, key)
            except _native.VerbsError as error:
                if error.args[0] == CREATING and error.args[3] in UNABLE:
                    raise NoDatagrams(f"{endpoint.name} makes no queue pairs for datagrams (UD)") from error
                raise
        self._datagrams, number, largest_bytes, gid, lid, mask, khz = made
        self.facts = DatagramFacts(
            queue_pair=number,
            key=key,
            largest_bytes=largest_bytes,
            gid=gid,
            lid=lid,
            clock=NicClock(mask=mask, khz=khz) if mask else None,
        )

    def join(self, theirs: DatagramFacts, options: RdmaOptions) -> None:
        """See EngineDatagrams."""
        with translated():
            _native.verbs_address(
                self._datagrams,
                theirs.queue_pair,
                theirs.key,
                theirs.gid,
                theirs.lid,
                self._is_routed,
                flow_label(options.source_port, 0),
                HOPS,
                options.traffic_class,
                options.service_level,
            )

    def ping(self, series: int, *, size_bytes: int, most: int, budget_ns: int) -> Counted:
        """See EngineDatagrams."""
        round_trips_ns, left, came = _unknown(most), _unknown(most), _unknown(most)
        with translated():
            sent, received, late = _native.verbs_pings(
                self._datagrams, series, size_bytes, budget_ns, PATIENCE_NS, GRACE_NS, round_trips_ns, left, came
            )
        return Counted(
            sent=sent,
            received=received,
            late=late,
            round_trips_ns=round_trips_ns[:sent],
            left_ticks=left[:sent],
            came_ticks=came[:sent],
        )

    def echo(self, series: int, *, size_bytes: int, most: int) -> Counted:
        """See EngineDatagrams."""
        left, came = _unknown(most), _unknown(most)
        with translated():
            sent, received = _native.verbs_echoes(self._datagrams, series, size_bytes, QUIET_NS, came, left)
        return Counted(sent=sent, received=received, left_ticks=left, came_ticks=came)

    def close(self) -> None:
        """See EngineDatagrams."""
        _native.verbs_end_datagrams(self._datagrams)


def _unknown(count: int) -> Stamps:
    stamps = np.empty(count, dtype=np.int64)
    stamps.fill(-1)
    return stamps
