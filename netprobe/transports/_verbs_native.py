"""Verbs by netprobe._native: libibverbs is opened at run time, and loops post and poll without Python."""

import ctypes
import errno
import os
import secrets
from typing import Any, Final

from netprobe import _native
from netprobe.contracts import Stamps
from netprobe.errors import UnavailableError
from netprobe.model.rdma import Operation, RdmaEndpoint, RdmaOptions
from netprobe.transports._native_calls import HOPS, flow_label, translated
from netprobe.transports._verbs_datagrams import NativeDatagrams
from netprobe.transports._verbs_engine import Flow, LinkFacts, Region

LIBRARY: Final = "libibverbs.so.1"
OPCODES: Final = {
    Operation.WRITE: 0,
    Operation.WRITE_IMMEDIATE: 1,
    Operation.SEND: 2,
    Operation.READ: 4,
    Operation.ATOMIC: 6,
}  # enum ibv_wr_opcode
SMALLEST_MTU_BYTES: Final = 256  # enum ibv_mtu counts its doublings from 1
OPENING_REMEDIES: Final = {
    errno.EACCES: "read and write rights on /dev/infiniband/uverbs*",
    errno.EPERM: "read and write rights on /dev/infiniband/uverbs*, or CAP_NET_RAW",
    errno.ENODEV: "ibv_devices, which shows what libibverbs finds; its provider may be missing (ibverbs-providers)",
    errno.ENOSYS: "the kernel module ib_uverbs",
    errno.ENOENT: "/dev/infiniband inside of this container",
}
MOST_READS: Final = 255  # of one queue pair at once: max_rd_atomic of struct ibv_qp_attr is a byte


class NativeDevice:
    """_verbs_engine.EngineDevice by native code."""

    def __init__(self, name: str) -> None:
        """Open a device by its name; UnavailableError says why it cannot be used."""
        _load()
        self.name = name
        try:
            self._device, self.most_messages, self._atomics = _native.verbs_open(name)
        except _native.VerbsError as error:
            raise _refused(name, error) from error
        self._held: dict[Region, Any] = {}

    def register(self, address: int, size_bytes: int, dmabuf: int | None = None) -> Region:
        """See EngineDevice."""
        with translated():
            held, local_key, remote_key = _native.verbs_reg(
                self._device, address, size_bytes, -1 if dmabuf is None else dmabuf
            )
        region = Region(address=address, size_bytes=size_bytes, local_key=local_key, remote_key=remote_key)
        self._held[region] = held
        return region

    def release(self, region: Region) -> None:
        """See EngineDevice."""
        _native.verbs_dereg(self._held.pop(region))

    def link(self, endpoint: RdmaEndpoint, options: RdmaOptions, depth: int) -> "NativeLink":
        """See EngineDevice."""
        return NativeLink(self._device, endpoint, options, depth)

    def datagrams(self, endpoint: RdmaEndpoint) -> NativeDatagrams:
        """See EngineDevice."""
        return NativeDatagrams(self._device, endpoint)

    def close(self) -> None:
        """See EngineDevice."""
        self._held.clear()
        _native.verbs_close(self._device)


class NativeLink:
    """_verbs_engine.EngineLink by native code."""

    def __init__(self, device: object, endpoint: RdmaEndpoint, options: RdmaOptions, depth: int) -> None:
        self._is_routed = endpoint.link_layer != "InfiniBand"
        with translated():
            self._link, numbers, self.inline_bytes, mtu, gid, lid, most_reads = _native.verbs_link(
                device, endpoint.port, endpoint.gid_index, options.queue_pairs, depth, options.inline_bytes
            )
        self.facts = LinkFacts(
            queue_pairs=numbers,
            packet_numbers=(secrets.randbelow(1 << 24),) * len(numbers),  # a late packet of older ones is none of ours
            mtu_bytes=SMALLEST_MTU_BYTES << (mtu - 1),
            gid=gid,
            lid=lid,
            most_reads=min(most_reads, MOST_READS),
        )

    def join(self, theirs: LinkFacts, options: RdmaOptions) -> None:
        """See EngineLink."""
        mtu_bytes = min(self.facts.mtu_bytes, theirs.mtu_bytes, options.path_mtu_bytes or self.facts.mtu_bytes)
        with translated():
            _native.verbs_join(
                self._link,
                theirs.queue_pairs,
                tuple(flow_label(options.source_port, index) for index in range(len(theirs.queue_pairs))),
                theirs.gid,
                theirs.lid,
                (mtu_bytes // SMALLEST_MTU_BYTES).bit_length(),
                self._is_routed,
                HOPS,
                options.traffic_class,
                options.service_level,
                options.ack_timeout,
                options.retry_count,
                options.rnr_retry_count,
                options.min_rnr_timer,
                max(min(self.facts.most_reads, theirs.most_reads), 1),
                theirs.packet_numbers[0],
                self.facts.packet_numbers[0],
            )

    def expect(self, flow: Flow, messages: int) -> None:
        """See EngineLink."""
        if flow.operation is Operation.WRITE and flow.window == 1 and flow.receive != flow.send:
            # Unlike what comes first, so that a byte of an earlier series is not taken for it.
            ctypes.memset(flow.receive + flow.size_bytes - 1, ~flow.first_mark & 0xFF, 1)
        with translated():
            _native.verbs_expect(self._flow(flow), messages)

    def pingpong(self, flow: Flow, *, initiates: bool, stamps: Stamps) -> None:
        """See EngineLink."""
        with translated():
            _native.verbs_pingpong(self._flow(flow), initiates, stamps)

    def stream(self, flow: Flow, *, sends: bool, receives: bool, stamps: Stamps) -> None:
        """See EngineLink."""
        with translated():
            _native.verbs_stream(self._flow(flow), sends, receives, stamps)

    def close(self) -> None:
        """See EngineLink."""
        _native.verbs_unlink(self._link)

    def _flow(self, flow: Flow) -> tuple[Any, ...]:
        return (
            self._link, OPCODES[flow.operation], flow.size_bytes, flow.send, flow.send_key, flow.receive,
            flow.receive_key, flow.remote, flow.remote_key, flow.window, flow.stride_bytes, flow.signal_every,
            flow.post_list, flow.patience_ns, flow.first_mark, flow.own_first_mark,
        )  # fmt: skip


def _load() -> None:
    try:
        _native.verbs_load(LIBRARY)
    except OSError as error:
        raise UnavailableError(
            f"libibverbs cannot be opened ({error})",
            remedy="the packages libibverbs1 and ibverbs-providers, or rdma-core",
        ) from error


def _refused(name: str, error: _native.VerbsError) -> UnavailableError:
    call, _, _, number, _, _ = error.args
    return UnavailableError(
        f"{name} cannot be opened: {call}: {os.strerror(number)}", remedy=OPENING_REMEDIES.get(number)
    )
