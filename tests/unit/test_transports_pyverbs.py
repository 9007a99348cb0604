"""The reference engine moves what it should, posts what it was asked to, and says why it cannot go on."""

import errno
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transports_fake_pyverbs import ENUMS, Fabric, PyverbsRDMAError, Region

from netprobe.errors import UnavailableError
from netprobe.model.rdma import Operation, RdmaEndpoint, RdmaOptions
from netprobe.transports._pyverbs_bindings import Bindings, load_bindings, reason_of, status_of
from netprobe.transports._verbs_engine import Broken, Flow
from netprobe.transports._verbs_pyverbs import PyverbsDevice, flow_label

DEPTH = 128
ROOM = 1 << 16
PATIENT_NS = 5_000_000_000
ENDPOINT = RdmaEndpoint(
    rank=0, device="rxe0", port=1, link_layer="Ethernet", gid_index=1, gid="", gid_kind="RoCE v2", netdev=None,
    rate_gbps=None,
)  # fmt: skip
MOVING = (Operation.SEND, Operation.WRITE, Operation.WRITE_IMMEDIATE)
TWO_SIDED = (Operation.SEND, Operation.WRITE_IMMEDIATE)


class End:
    """One end of a connection, with memory to send from and to receive into."""

    def __init__(self, fabric, options, fill):
        self.device = PyverbsDevice("rxe0", fabric.bindings())
        self.link = self.device.link(ENDPOINT, options, DEPTH)
        self.sent = np.full(ROOM, fill, dtype=np.uint8)
        self.came = np.full(ROOM, 0xFF, dtype=np.uint8)
        self.region = self.device.register(self.sent.ctypes.data, ROOM)


class Pair:
    """Two ends that are joined."""

    def __init__(self, fabric=None, **options):
        self.fabric = fabric or Fabric()
        self.options = RdmaOptions(**options)
        self.ends = [End(self.fabric, self.options, fill) for fill in (3, 8)]
        for own, other in (self.ends, self.ends[::-1]):
            own.link.join(other.link.facts, self.options)

    def flow(self, index, size=8, **changes):
        """Return a series as an end sees it."""
        own, other = self.ends[index], self.ends[1 - index]
        operation = self.options.operation
        remote = other.sent if operation is Operation.READ else other.came
        asked = Flow(
            operation=operation, size_bytes=size, send=own.sent.ctypes.data, send_key=1,
            receive=own.came.ctypes.data, receive_key=1, remote=remote.ctypes.data, remote_key=1,
            patience_ns=PATIENT_NS, first_mark=int(other.sent[size - 1]), own_first_mark=int(own.sent[size - 1]),
        )  # fmt: skip
        return replace(asked, **changes)

    def both(self, act):
        """Run both ends at once; return what each raised."""
        with ThreadPoolExecutor(2) as pool:
            return [each.exception() for each in [pool.submit(act, index) for index in (0, 1)]]

    def pingpong(self, iterations, size=8, **changes):
        stamps = [np.full(iterations + 1, -1, dtype=np.int64) for _ in self.ends]
        flows = [self.flow(index, size, **changes) for index in (0, 1)]
        expected = iterations + 1 if self.options.operation in TWO_SIDED else 0
        for end, flow in zip(self.ends, flows, strict=True):
            end.link.expect(flow, expected)
        raised = self.both(
            lambda index: self.ends[index].link.pingpong(flows[index], initiates=index == 0, stamps=stamps[index])
        )
        return stamps, raised

    def stream(self, roles, iterations, **changes):
        """Stream between ends that send, receive, both or neither, as in ``("s", "r")``."""
        stamps = [np.full(iterations + 1, -1, dtype=np.int64) for _ in self.ends]
        flows = [self.flow(index, **changes) for index in (0, 1)]
        for end, flow, role in zip(self.ends, flows, roles, strict=True):
            end.link.expect(flow, flow.window * iterations if "r" in role else 0)
        raised = self.both(
            lambda index: self.ends[index].link.stream(
                flows[index], sends="s" in roles[index], receives="r" in roles[index], stamps=stamps[index]
            )
        )
        return stamps, raised

    def receives_posted(self):
        return [sum(self.fabric.queue_pairs[each].received for each in end.link.facts.queue_pairs) for end in self.ends]


def is_series(stamps):
    return stamps[0] > 0 and bool((np.diff(stamps) >= 0).all())


@pytest.mark.parametrize("operation", MOVING)
@pytest.mark.parametrize("size", [1, 8, 4096])
def test_round_trips_carry_the_data_of_both_ends(operation, size):
    pair = Pair(operation=operation)

    stamps, raised = pair.pingpong(5, size)

    assert raised == [None, None]
    assert all(is_series(each) for each in stamps)
    first, second = pair.ends
    assert (first.came[: size - 1] == 8).all() and (second.came[: size - 1] == 3).all()
    assert first.came[size - 1] == second.sent[size - 1] and second.came[size - 1] == first.sent[size - 1]
    assert first.came[size] == second.came[size] == 0xFF


def test_marks_of_written_round_trips_flip_from_the_first():
    pair = Pair(operation=Operation.WRITE)

    pair.pingpong(4)

    assert [int(end.came[7]) for end in pair.ends] == [8, 3]  # the fifth message is marked as the first
    pair.pingpong(5, first_mark=1, own_first_mark=1)
    assert [int(end.came[7]) for end in pair.ends] == [0, 0]


def test_a_byte_of_an_earlier_series_is_not_taken_for_the_first_message():
    pair = Pair(operation=Operation.WRITE)
    pair.ends[0].came[7] = 8  # what the peer's first message ends with

    pair.ends[0].link.expect(pair.flow(0), 0)

    assert pair.ends[0].came[7] == 8 ^ 0xFF


def test_a_stream_that_sends_from_where_it_would_receive_leaves_the_data_alone():
    pair = Pair(operation=Operation.WRITE)
    address = pair.ends[0].sent.ctypes.data

    pair.ends[0].link.expect(pair.flow(0, receive=address, first_mark=1), 0)

    assert (pair.ends[0].sent == 3).all()


def test_reads_fetch_and_only_who_asks_is_timed():
    pair = Pair(operation=Operation.READ)

    (asked, answered), raised = pair.pingpong(5)

    assert raised == [None, None]
    assert is_series(asked) and (answered == -1).all()
    assert (pair.ends[0].came[:8] == 8).all() and (pair.ends[1].came == 0xFF).all()


def test_atomics_add_one_each_and_fetch_what_was_there():
    pair = Pair(operation=Operation.ATOMIC)
    pair.ends[1].came[:8] = 0

    pair.pingpong(5)

    assert pair.ends[1].came[:8].view(np.uint64)[0] == 6
    assert pair.ends[0].came[:8].view(np.uint64)[0] == 5


def test_every_message_of_a_window_has_its_place():
    pair = Pair(operation=Operation.SEND)
    pair.ends[0].sent[: 8 * 64] = np.arange(8 * 64) % 251

    _, raised = pair.stream(("s", "r"), 3, window=64, stride_bytes=8, signal_every=16)

    assert raised == [None, None]
    assert (pair.ends[1].came[: 8 * 64] == pair.ends[0].sent[: 8 * 64]).all()
    assert (pair.ends[1].came[8 * 64 :] == 0xFF).all()


@given(
    operation=st.sampled_from(MOVING),
    window=st.integers(1, 100),
    iterations=st.integers(1, 4),
    queue_pairs=st.integers(1, 4),
    signal_every=st.integers(1, 50),
    post_list=st.integers(1, 16),
    roles=st.sampled_from([("s", "r"), ("sr", "sr")]),
)
def test_a_stream_posts_as_many_receives_as_messages_and_asks_for_the_last_completion(
    operation, window, iterations, queue_pairs, signal_every, post_list, roles
):
    signal_every = min(signal_every, max(window // (2 * queue_pairs), 1))
    pair = Pair(operation=operation, queue_pairs=queue_pairs)
    if operation is Operation.WRITE:
        roles = tuple(role.replace("r", "") for role in roles)

    stamps, raised = pair.stream(roles, iterations, window=window, signal_every=signal_every, post_list=post_list)

    messages = window * iterations
    assert raised == [None, None]
    assert pair.receives_posted() == [messages if "r" in role else 0 for role in roles]
    assert pair.fabric.messages == messages * sum("s" in role for role in roles)
    assert pair.fabric.most_in_queue <= window
    assert all(is_series(each) for each, role in zip(stamps, roles, strict=True) if role)
    for _, listed, signalled in pair.fabric.posted:
        assert listed <= post_list and len(signalled) <= 1
    completed = sum(sum(signalled) for _, _, signalled in pair.fabric.posted)
    assert completed == pair.fabric.messages


def test_messages_go_to_queue_pairs_in_turn():
    pair = Pair(operation=Operation.SEND, queue_pairs=3)

    pair.stream(("s", "r"), 2, window=12, signal_every=2, post_list=4)

    numbers = pair.ends[0].link.facts.queue_pairs
    assert [number for number, _, _ in pair.fabric.posted] == list(numbers) * 4
    assert [listed for _, listed, _ in pair.fabric.posted] == [2] * 12


def test_short_messages_are_copied_into_the_request_as_far_as_the_device_allows():
    pair = Pair(inline_bytes=220)

    assert pair.ends[0].link.inline_bytes == 55  # the fake's devices take 64


def test_a_failed_completion_is_told_with_what_had_gone_well():
    fabric = Fabric()
    fabric.fails_at = {6: ENUMS.IBV_WC_RETRY_EXC_ERR, 7: ENUMS.IBV_WC_WR_FLUSH_ERR}
    pair = Pair(fabric, operation=Operation.WRITE)

    _, (broken, _) = pair.stream(("s", ""), 5, window=4)

    assert isinstance(broken, Broken)
    assert (broken.call, broken.status, broken.vendor_error) == ("ibv_poll_cq", "RETRY_EXC_ERR", 129)
    assert broken.messages == 6


def test_a_flush_is_not_taken_for_the_cause():
    fabric = Fabric()
    fabric.fails_at = {0: ENUMS.IBV_WC_WR_FLUSH_ERR, 1: ENUMS.IBV_WC_RETRY_EXC_ERR}

    _, (broken, _) = Pair(fabric, operation=Operation.WRITE).stream(("s", ""), 1, window=2)

    assert broken.status == "RETRY_EXC_ERR"


@pytest.mark.parametrize(("operation", "done"), [(Operation.WRITE, 1), (Operation.SEND, 2)])
def test_patience_ends_and_tells_what_had_gone_and_come(operation, done):
    fabric = Fabric()
    fabric.fails_at = {2: None}

    _, raised = Pair(fabric, operation=operation).pingpong(5, patience_ns=100_000_000)

    assert [(each.status, each.error) for each in raised] == [(None, None)] * 2
    assert all(each.waited_ns > 100_000_000 for each in raised)
    assert [each.messages for each in raised] == [done, done]


def test_receives_wait_beforehand_as_far_as_the_queue_holds_them():
    pair = Pair(operation=Operation.SEND)

    pair.ends[1].link.expect(pair.flow(1, window=64), 3 * DEPTH)

    assert pair.receives_posted() == [0, DEPTH]


@pytest.mark.parametrize(
    ("refused", "call"),
    [("post_send", "ibv_post_send"), ("post_recv", "ibv_post_recv")],
)
def test_a_refused_request_is_told_in_the_systems_words(refused, call):
    fabric = Fabric()
    pair = Pair(fabric, operation=Operation.SEND)
    fabric.refuses = {refused: errno.ENOMEM}

    with pytest.raises(Broken) as raised:
        pair.ends[0].link.expect(pair.flow(0), int(refused == "post_recv"))
        pair.ends[0].link.pingpong(pair.flow(0), initiates=True, stamps=np.zeros(2, dtype=np.int64))

    assert (raised.value.call, raised.value.error) == (call, "Cannot allocate memory")


def test_a_way_that_cannot_be_found_breaks_the_joining():
    fabric = Fabric()
    fabric.refuses = {"to_rtr": errno.ETIMEDOUT}

    with pytest.raises(Broken, match="ibv_modify_qp to RTR: Connection timed out"):
        Pair(fabric)


def test_queue_pairs_are_joined_as_asked():
    pair = Pair(
        queue_pairs=2, source_port=0xD000, traffic_class=104, service_level=3, path_mtu_bytes=1024, ack_timeout=18,
        retry_count=3, rnr_retry_count=6,
    )  # fmt: skip
    own, other = (end.link.facts for end in pair.ends)

    joined = [pair.fabric.queue_pairs[number].attributes["RTR"] for number in own.queue_pairs]

    assert [each.dest_qp_num for each in joined] == list(other.queue_pairs)
    assert [udp_source_port(each.ah_attr.gr.flow_label) for each in joined] == [0xD000, 0xD001]
    [first, _] = joined
    assert (first.rq_psn, first.sq_psn) == (other.packet_numbers[0], own.packet_numbers[0])
    assert (first.path_mtu, first.max_rd_atomic, first.max_dest_rd_atomic) == (3, 32, 32)
    assert (first.timeout, first.retry_cnt, first.rnr_retry, first.min_rnr_timer) == (18, 3, 6, 12)
    assert (first.ah_attr.sl, first.ah_attr.is_global, first.ah_attr.gr.traffic_class) == (3, 1, 104)
    assert first.ah_attr.gr.dgid == "0000:0000:0000:0000:0000:ffff:0a01:0001"


def test_what_was_registered_is_given_back():
    held = Region.held
    device = PyverbsDevice("rxe0", Fabric().bindings())

    first, _ = device.register(4096, 64), device.register(8192, 64)
    device.release(first)

    assert Region.held == held + 1
    device.close()
    assert Region.held == held


def test_memory_of_a_gpu_is_left_to_the_native_engine():
    with pytest.raises(Broken, match="pyverbs cannot give a dma-buf an address"):
        PyverbsDevice("rxe0", Fabric().bindings()).register(4096, 64, dmabuf=3)


def test_a_device_that_cannot_be_opened_is_unavailable_in_one_line():
    fabric = Fabric()
    fabric.refuses = {"open": errno.EACCES}

    with pytest.raises(UnavailableError) as raised:
        PyverbsDevice("mlx5_0", fabric.bindings())

    assert str(raised.value) == (
        "mlx5_0 cannot be opened with pyverbs: Permission denied; "
        "try: ibv_devinfo, which shows what libibverbs can open"
    )


def found(*missing, cause=None):
    """Import pyverbs where some of its modules are missing, or cannot be loaded."""

    def find(name):
        if name in missing:
            raise cause or ModuleNotFoundError(f"No module named {name!r}", name=name)
        return name

    return find


@pytest.mark.parametrize(("missing", "enums"), [("libibverbs_enums", "enums"), ("enums", "libibverbs_enums")])
def test_constants_are_found_under_the_name_that_a_release_gives_them(missing, enums):
    bindings = load_bindings(found(f"pyverbs.{missing}"))

    assert isinstance(bindings, Bindings)
    assert (bindings.enums, bindings.qp) == (f"pyverbs.{enums}", "pyverbs.qp")


def test_missing_bindings_are_told_in_one_line():
    with pytest.raises(UnavailableError) as raised:
        load_bindings(found("pyverbs"))

    assert str(raised.value) == (
        "pyverbs, the Python bindings of rdma-core, is not installed for this Python; "
        "try: the package python3-pyverbs with the system's own Python, or the native engine"
    )


def test_bindings_of_another_release_are_told_in_one_line():
    cause = ImportError("libibverbs.so.1: version 'IBVERBS_PRIVATE_59' not found\n(required by device.so)")

    with pytest.raises(UnavailableError) as raised:
        load_bindings(found("pyverbs.device", cause=cause))

    assert "\n" not in str(raised.value)
    assert "IBVERBS_PRIVATE_59" in str(raised.value)


def test_an_error_without_a_number_is_told_in_the_words_of_pyverbs():
    assert reason_of(PyverbsRDMAError("Failed to get devices list")) == "Failed to get devices list"


def test_a_status_that_the_bindings_do_not_know_is_told_as_its_number():
    assert status_of(Fabric().bindings(), 77) == "status 77"


def udp_source_port(label):
    """Return what rdma-core's ibv_flow_label_to_udp_sport does."""
    return (label & 0x3FFF) ^ ((label & 0xFC000) >> 14) | 0xC000


@given(st.integers(0xC000, 0xFFFF))
def test_a_flow_label_gives_the_source_port_it_was_made_for(port):
    label = flow_label(port)

    assert 0 < label < 1 << 20
    assert udp_source_port(label) == port
