"""Verbs by rdma-core's own Python bindings: the reference for the native engine, with which it shares no code."""

import ctypes
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from netprobe.contracts import Stamps
from netprobe.errors import UnavailableError
from netprobe.model.rdma import Operation, RdmaEndpoint, RdmaOptions
from netprobe.transports._pyverbs_bindings import Bindings, Foreign, broken_by, load_bindings, reason_of
from netprobe.transports._pyverbs_series import PyverbsSeries, Queues
from netprobe.transports._verbs_engine import Broken, EngineDatagrams, Flow, LinkFacts, NoDatagrams, Region

PACKET_NUMBERS: Final = 1 << 24
PORT_BITS: Final = 14
HOPS: Final = 64
MOST_READS: Final = 255  # of one queue pair at once: max_rd_atomic of struct ibv_qp_attr is a byte
SMALLEST_MTU_BYTES: Final = 256  # IBV_MTU_256 is 1, and each further one doubles it


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What all links of a device share."""

    bindings: Bindings
    context: Foreign
    domain: Foreign
    attributes: Foreign

    @property
    def access(self) -> int:
        """What the other end may do: everything, but atomics only where the device has them."""
        allowed = ["LOCAL_WRITE", "REMOTE_WRITE", "REMOTE_READ"]
        allowed += ["REMOTE_ATOMIC"] if self.attributes.atomic_caps else []
        return sum(int(getattr(self.bindings.enums, f"IBV_ACCESS_{each}")) for each in allowed)


class PyverbsDevice:
    """_verbs_engine.EngineDevice by pyverbs."""

    def __init__(self, name: str, bindings: Bindings | None = None) -> None:
        """Open a device; UnavailableError tells why it cannot be used."""
        self.name = name
        self._bindings = bindings or load_bindings()
        try:
            context = self._bindings.device.Context(name=name)
            self._opened = Opened(
                bindings=self._bindings,
                context=context,
                domain=self._bindings.pd.PD(context),
                attributes=context.query_device(),
            )
        except self._bindings.pyverbs_error.PyverbsError as error:
            raise UnavailableError(
                f"{name} cannot be opened with pyverbs: {reason_of(error)}",
                remedy="ibv_devinfo, which shows what libibverbs can open",
            ) from error
        self.most_messages: int = self._opened.attributes.max_qp_wr
        self._held: dict[Region, Foreign] = {}

    def register(self, address: int, size_bytes: int, dmabuf: int | None = None) -> Region:
        """See EngineDevice."""
        if dmabuf is not None:  # pyverbs takes the offset into it as its address, which is not where we look for it
            raise Broken("ibv_reg_dmabuf_mr", error="pyverbs cannot give a dma-buf an address; try the native engine")
        with broken_by(self._bindings, "ibv_reg_mr"):
            held = self._bindings.mr.MR(self._opened.domain, size_bytes, self._opened.access, address=address)
        region = Region(address=address, size_bytes=size_bytes, local_key=held.lkey, remote_key=held.rkey)
        self._held[region] = held
        return region

    def release(self, region: Region) -> None:
        """See EngineDevice."""
        with broken_by(self._bindings, "ibv_dereg_mr"):
            self._held.pop(region).close()

    def link(self, endpoint: RdmaEndpoint, options: RdmaOptions, depth: int) -> "PyverbsLink":
        """See EngineDevice."""
        return PyverbsLink(self._opened, endpoint, options, depth)

    def datagrams(self, endpoint: RdmaEndpoint) -> EngineDatagrams:
        """See EngineDevice; none, in Python they would measure the interpreter."""
        raise NoDatagrams(f"the engine pyverbs sends no datagrams ({endpoint.name})")

    def close(self) -> None:
        """See EngineDevice."""
        for region in tuple(self._held):
            self.release(region)
        with broken_by(self._bindings, "ibv_close_device"):
            self._opened.domain.close()
            self._opened.context.close()


class PyverbsLink:
    """_verbs_engine.EngineLink by pyverbs."""

    def __init__(self, opened: Opened, endpoint: RdmaEndpoint, options: RdmaOptions, depth: int) -> None:
        self._bindings = bindings = opened.bindings
        self._endpoint = endpoint
        self._depth = depth
        self._series: PyverbsSeries | None = None
        count = options.queue_pairs
        with broken_by(bindings, "ibv_create_cq"):
            self._completions = bindings.cq.CQ(opened.context, 2 * depth * count)
        self.inline_bytes, first = self._first_queue_pair(opened.domain, options.inline_bytes)
        with broken_by(bindings, "ibv_create_qp"):
            others = [self._queue_pair(opened.domain, self.inline_bytes) for _ in range(count - 1)]
        self._queues = Queues(
            bindings=bindings,
            pairs=(first, *others),
            completions=self._completions,
            depth=depth,
            inline_bytes=self.inline_bytes,
        )
        attributes = _filled(bindings.qp.QPAttr(), port_num=endpoint.port, qp_access_flags=opened.access)
        for queue_pair in self._queues.pairs:
            with broken_by(bindings, "ibv_modify_qp to INIT"):
                queue_pair.to_init(attributes)
        self.facts = self._own_facts(opened)

    def join(self, theirs: LinkFacts, options: RdmaOptions) -> None:
        """See EngineLink."""
        reads = max(min(self.facts.most_reads, theirs.most_reads), 1)
        mtu_bytes = min(self.facts.mtu_bytes, theirs.mtu_bytes, options.path_mtu_bytes or self.facts.mtu_bytes)
        for index, queue_pair in enumerate(self._queues.pairs):
            attributes = _filled(
                self._bindings.qp.QPAttr(),
                ah_attr=self._path(theirs, options, index),
                path_mtu=(mtu_bytes // SMALLEST_MTU_BYTES).bit_length(),
                dest_qp_num=theirs.queue_pairs[index],
                rq_psn=theirs.packet_numbers[index],
                sq_psn=self.facts.packet_numbers[index],
                max_rd_atomic=reads,
                max_dest_rd_atomic=reads,
                min_rnr_timer=options.min_rnr_timer,
                timeout=options.ack_timeout,
                retry_cnt=options.retry_count,
                rnr_retry=options.rnr_retry_count,
            )
            with broken_by(self._bindings, "ibv_modify_qp to RTR"):
                queue_pair.to_rtr(attributes)
            with broken_by(self._bindings, "ibv_modify_qp to RTS"):
                queue_pair.to_rts(attributes)

    def expect(self, flow: Flow, messages: int) -> None:
        """See EngineLink."""
        if flow.operation is Operation.WRITE and flow.receive != flow.send:
            # Unlike what comes first, so that a byte of an earlier series is not taken for it.
            ctypes.memset(flow.receive + flow.size_bytes - 1, flow.first_mark ^ 0xFF, 1)
        self._series = PyverbsSeries(self._queues, flow, messages)
        self._series.post_receives()

    def pingpong(self, flow: Flow, *, initiates: bool, stamps: Stamps) -> None:
        """See EngineLink."""
        self._begun(flow).pingpong(initiates=initiates, stamps=stamps)

    def stream(self, flow: Flow, *, sends: bool, receives: bool, stamps: Stamps) -> None:
        """See EngineLink."""
        self._begun(flow).stream(sends=sends, receives=receives, stamps=stamps)

    def close(self) -> None:
        """See EngineLink."""
        with broken_by(self._bindings, "ibv_destroy_qp"):
            for queue_pair in self._queues.pairs:
                queue_pair.close()
        with broken_by(self._bindings, "ibv_destroy_cq"):
            self._queues.completions.close()

    def _begun(self, flow: Flow) -> PyverbsSeries:
        assert self._series is not None and self._series.flow == flow, "expect() comes first"
        return self._series

    def _first_queue_pair(self, domain: Foreign, inline_bytes: int) -> tuple[int, Foreign]:
        """Return how much the device lets a request hold, halving what was asked for: no call tells it."""
        while inline_bytes > 0:
            with suppress(self._bindings.pyverbs_error.PyverbsError):
                return inline_bytes, self._queue_pair(domain, inline_bytes)
            inline_bytes //= 2
        with broken_by(self._bindings, "ibv_create_qp"):
            return 0, self._queue_pair(domain, 0)

    def _queue_pair(self, domain: Foreign, inline_bytes: int) -> Foreign:
        room = self._bindings.qp.QPCap(
            max_send_wr=self._depth, max_recv_wr=self._depth, max_send_sge=1, max_recv_sge=1,
            max_inline_data=inline_bytes,
        )  # fmt: skip
        wanted = self._bindings.qp.QPInitAttr(
            qp_type=self._bindings.enums.IBV_QPT_RC, scq=self._completions, rcq=self._completions, cap=room
        )
        return self._bindings.qp.QP(domain, wanted)

    def _own_facts(self, opened: Opened) -> LinkFacts:
        with broken_by(self._bindings, "ibv_query_port"):
            port = opened.context.query_port(self._endpoint.port)
        with broken_by(self._bindings, "ibv_query_gid"):
            gid = opened.context.query_gid(self._endpoint.port, self._endpoint.gid_index)
        return LinkFacts(
            queue_pairs=tuple(each.qp_num for each in self._queues.pairs),
            packet_numbers=(secrets.randbelow(PACKET_NUMBERS),) * len(self._queues.pairs),
            mtu_bytes=SMALLEST_MTU_BYTES << (port.active_mtu - 1),
            gid=bytes.fromhex(str(gid).replace(":", "")),
            lid=port.lid,
            most_reads=min(opened.attributes.max_qp_rd_atom, MOST_READS),
        )

    def _path(self, theirs: LinkFacts, options: RdmaOptions, index: int) -> Foreign:
        addr = self._bindings.addr
        route = addr.GlobalRoute(
            dgid=addr.GID(theirs.gid.hex(":", 2)),
            flow_label=0 if options.source_port is None else flow_label(options.source_port + index),
            sgid_index=self._endpoint.gid_index,
            hop_limit=HOPS,
            traffic_class=options.traffic_class,
        )
        return addr.AHAttr(
            gr=route,
            dlid=theirs.lid,
            sl=options.service_level,
            is_global=int(self._endpoint.link_layer != "InfiniBand"),
            port_num=self._endpoint.port,
        )


def flow_label(source_port: int) -> int:
    """Return a flow label, never 0, that drivers turn into this UDP source port of RoCE v2, 0xC000 to 0xFFFF.

    They take ``low 14 bits ^ high 6 bits | 0xC000`` (ibv_flow_label_to_udp_sport, libibverbs/verbs.h; the kernel's
    rdma_flow_label_to_udp_sport, include/rdma/ib_verbs.h), so each port has 64 labels; this is the one with 1 above.
    """
    high = 1
    low = source_port % (1 << PORT_BITS)
    return high << PORT_BITS | (low ^ high)


def _filled(attributes: Foreign, **values: object) -> Foreign:
    for name, value in values.items():
        setattr(attributes, name, value)
    return attributes
