"""The part of pyverbs that netprobe uses, over memory of this process: what one end posts, the other finds."""

import ctypes
import enum
import itertools
import threading
import time
from collections import deque
from types import SimpleNamespace

from netprobe.transports._pyverbs_bindings import Bindings


class PyverbsError(Exception):
    pass


class PyverbsRDMAError(PyverbsError):
    def __init__(self, said, error_code=-1):
        super().__init__(said)
        self.error_code = error_code


class Status(enum.IntEnum):
    IBV_WC_SUCCESS = 0
    IBV_WC_WR_FLUSH_ERR = 5
    IBV_WC_RETRY_EXC_ERR = 12


ENUMS = SimpleNamespace(
    ibv_wc_status=Status, IBV_WC_SUCCESS=0, IBV_WC_WR_FLUSH_ERR=5, IBV_WC_RETRY_EXC_ERR=12, IBV_WC_RECV=128,
    IBV_WR_RDMA_WRITE=0, IBV_WR_RDMA_WRITE_WITH_IMM=1, IBV_WR_SEND=2, IBV_WR_RDMA_READ=4,
    IBV_WR_ATOMIC_FETCH_AND_ADD=6, IBV_SEND_SIGNALED=2, IBV_SEND_INLINE=8, IBV_QPT_RC=2,
    IBV_ACCESS_LOCAL_WRITE=1, IBV_ACCESS_REMOTE_WRITE=2, IBV_ACCESS_REMOTE_READ=4, IBV_ACCESS_REMOTE_ATOMIC=8,
)  # fmt: skip
TWO_SIDED = (ENUMS.IBV_WR_SEND, ENUMS.IBV_WR_RDMA_WRITE_WITH_IMM)


class Fabric:
    """Both ends of all connections; what tests set beforehand, and what they look at afterwards."""

    def __init__(self):
        self.lock = threading.Lock()
        self.numbers = itertools.count(17)
        self.queue_pairs = {}
        self.most_inline = 64
        self.most_in_queue = 0
        """Requests of one queue pair that had not completed, at most."""
        self.posted = []
        """(queue pair, messages of the list, those with a completion) of each call."""
        self.fails_at = {}
        """What becomes of the n-th message of all: a status, or None for a message that never arrives."""
        self.refuses = {}
        """errno by the name of a call."""
        self.messages = 0

    def bindings(self):
        """Return what load_bindings() would."""
        made = SimpleNamespace
        return Bindings(
            addr=made(GID=str, GlobalRoute=Record, AHAttr=Record),
            cq=made(CQ=Completions),
            device=made(Context=lambda name: Context(self, name), get_device_list=lambda: [made(name=b"rxe0")]),
            enums=ENUMS,
            mr=made(MR=lambda *details, address: Region(self, *details, address=address)),
            pd=made(PD=lambda _context: made(close=lambda: None)),
            pyverbs_error=made(PyverbsError=PyverbsError),
            qp=made(QPAttr=made, QPCap=Record, QPInitAttr=Record, QP=lambda _pd, wanted: QueuePair(self, wanted)),
            wr=made(SGE=lambda *memory: memory, RecvWR=Receive, SendWR=SendRequest),
        )

    def refuse(self, call):
        """Fail as the call was told to."""
        if call in self.refuses:
            raise PyverbsRDMAError(f"Failed to {call}", self.refuses[call])


class Record(SimpleNamespace):
    """Keeps what it was made of."""


class Receive(Record):
    """Release 44 wants room in every receive."""

    def __init__(self, *, num_sge, sg):
        if num_sge < 1:
            raise PyverbsError("A WR needs at least one SGE")
        super().__init__(sg=sg)


class SendRequest(Record):
    rdma = (0, 0)
    atomic = (0, 0, 0)

    def set_wr_rdma(self, rkey, addr):
        self.rdma = (rkey, addr)

    def set_wr_atomic(self, rkey, addr, compare_add):
        self.atomic = (rkey, addr, compare_add)


class Context:
    def __init__(self, fabric, name):
        fabric.refuse("open")
        self.fabric = fabric
        self.name = name

    def query_device(self):
        return Record(
            max_qp_wr=256,
            max_qp_rd_atom=32,
            atomic_caps=1,
            phys_port_cnt=1,
            fw_version="",
            node_guid=0x0100_0000_0000_0000,
        )

    def query_port(self, _number):
        return Record(active_mtu=5, lid=0)

    def query_gid(self, _port, index):
        return f"0000:0000:0000:0000:0000:ffff:0a01:{index:04x}"

    def close(self):
        pass


class Region:
    held = 0

    def __init__(self, fabric, _pd, length, access, *, address):
        fabric.refuse("reg_mr")
        self.lkey = self.rkey = next(fabric.numbers)
        self.access = access
        Region.held += 1

    def close(self):
        Region.held -= 1


class Completions:
    def __init__(self, _context, entries):
        self.entries = entries
        self.waiting = deque()

    def add(self, **facts):
        assert len(self.waiting) < self.entries, "the completion queue overflows"
        self.waiting.append(Record(vendor_err=129, **facts))

    def poll(self, most):
        time.sleep(0)  # lets the other end's thread run
        got = [self.waiting.popleft() for _ in range(min(most, len(self.waiting)))]
        return len(got), got

    def close(self):
        pass


class QueuePair:
    """A reliable connection: messages that find no receive wait for one, in order, and those after them too."""

    def __init__(self, fabric, wanted):
        if wanted.cap.max_inline_data > fabric.most_inline:
            raise PyverbsRDMAError("Failed to create QP", 22)
        self.fabric = fabric
        self.wanted = wanted
        self.qp_num = next(fabric.numbers)
        self.receives = deque()
        self.sends = deque()
        self.in_queue = 0
        self.received = 0
        self.attributes = {}
        fabric.queue_pairs[self.qp_num] = self

    def to_init(self, attributes):
        self._become("INIT", attributes)

    def to_rtr(self, attributes):
        self.fabric.refuse("to_rtr")
        self._become("RTR", attributes)

    def to_rts(self, attributes):
        self._become("RTS", attributes)

    def close(self):
        del self.fabric.queue_pairs[self.qp_num]

    def _become(self, state, attributes):
        self.attributes[state] = attributes

    @property
    def peer(self):
        return self.fabric.queue_pairs[self.attributes["RTR"].dest_qp_num]

    def post_recv(self, request):
        self.fabric.refuse("post_recv")
        with self.fabric.lock:
            self.received += 1
            assert len(self.receives) < self.wanted.cap.max_recv_wr, "the receive queue overflows"
            self.receives.append(request)
            if "RTR" in self.attributes:
                self.peer.move()

    def post_send(self, request):
        self.fabric.refuse("post_send")
        with self.fabric.lock:
            listed = list(chain_of(request))
            signalled = [each.wr_id for each in listed if each.send_flags & ENUMS.IBV_SEND_SIGNALED]
            self.fabric.posted.append((self.qp_num, len(listed), signalled))
            self.sends.extend(listed)
            self.in_queue += len(listed)
            self.fabric.most_in_queue = max(self.fabric.most_in_queue, self.in_queue)
            assert self.in_queue <= self.wanted.cap.max_send_wr, "the send queue overflows"
            self.move()

    def move(self):
        """Deliver what can be."""
        while self.sends and (self.sends[0].opcode not in TWO_SIDED or self.peer.receives):
            request = self.sends.popleft()
            number = self.fabric.messages
            self.fabric.messages += 1
            status = self.fabric.fails_at.get(number, ENUMS.IBV_WC_SUCCESS)
            if status is None:
                continue
            if status != ENUMS.IBV_WC_SUCCESS:
                self.wanted.scq.add(status=status, opcode=0, wr_id=request.wr_id)
                continue
            self._deliver(request)
            if request.send_flags & ENUMS.IBV_SEND_SIGNALED:
                self.in_queue -= request.wr_id
                self.wanted.scq.add(status=status, opcode=0, wr_id=request.wr_id)

    def _deliver(self, request):
        [(place, size, key)] = request.sg
        assert key, "memory that is not registered"
        inline = request.send_flags & ENUMS.IBV_SEND_INLINE
        assert not inline or size <= self.wanted.cap.max_inline_data
        if request.opcode == ENUMS.IBV_WR_RDMA_READ:
            ctypes.memmove(place, request.rdma[1], size)
        elif request.opcode == ENUMS.IBV_WR_ATOMIC_FETCH_AND_ADD:
            word = ctypes.c_uint64.from_address(request.atomic[1])
            ctypes.c_uint64.from_address(place).value = word.value
            word.value += request.atomic[2]
        else:
            self._carry(request, place, size)

    def _carry(self, request, place, size):
        there = request.rdma[1]
        if request.opcode in TWO_SIDED:
            posted = self.peer.receives.popleft()
            if request.opcode == ENUMS.IBV_WR_SEND:
                [(there, room, _)] = posted.sg
                assert room >= size, "the receive is too small"
        ctypes.memmove(there, place, size)
        if request.opcode in TWO_SIDED:
            self.peer.wanted.rcq.add(status=ENUMS.IBV_WC_SUCCESS, opcode=ENUMS.IBV_WC_RECV, wr_id=0)


def chain_of(request):
    while request is not None:
        yield request
        request = request.next_wr
