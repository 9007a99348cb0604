"""Both ends of a pair in one process, over a libibverbs of the test's own: ``LIBRARY DEVICES SERIES`` as JSON.

Prints what came of each series. One process loads one library, so each test starts its own.
"""

import ctypes
import json
import sys
from concurrent.futures import ThreadPoolExecutor

from netprobe import _native
from netprobe.model.rdma import RdmaEndpoint, RdmaOptions
from netprobe.transports._verbs_datagrams import NativeDatagrams
from netprobe.transports._verbs_engine import NoDatagrams
from netprobe.transports._wire_time import spans_of
from netprobe.units import NS_PER_S

ENDPOINT = {
    "device": "fake", "port": 1, "link_layer": "Ethernet", "gid_index": 3, "gid": "", "gid_kind": "RoCE v2",
    "netdev": None, "rate_gbps": None,
}  # fmt: skip


def main():
    library, devices, series = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
    _native.verbs_load(library)
    fake = ctypes.CDLL(library)
    opened = [_native.verbs_open(name)[0] for name in devices]
    try:
        ends = [
            NativeDatagrams(device, RdmaEndpoint(rank=rank, **ENDPOINT)) for rank, device in enumerate(opened)
        ]  # fmt: skip
    except NoDatagrams as missing:
        print(json.dumps({"missing": str(missing)}))
        return
    for own, other in (ends, reversed(ends)):
        own.join(other.facts, RdmaOptions())
    print(json.dumps([run(fake, ends, number, **each) for number, each in enumerate(series, start=1)]))
    for end in ends:
        end.close()
    for device in opened:
        _native.verbs_close(device)


def run(fake, ends, number, *, size=64, most=100, lose=(), hold=()):
    for each in lose:
        fake.fake_lose(*each)
    for each in hold:
        fake.fake_hold(*each)
    with ThreadPoolExecutor(2) as threads:
        answering = threads.submit(ends[1].echo, number, size_bytes=size, most=most)
        pinging = threads.submit(ends[0].ping, number, size_bytes=size, most=most, budget_ns=60 * NS_PER_S)
        pings, echoes = pinging.result(), answering.result()
    told = {
        "pings": [pings.sent, echoes.received],
        "echoes": [echoes.sent, pings.received],
        "late": pings.late,
        "in_time": int((pings.round_trips_ns > 0).sum()),
        "largest": [end.facts.largest_bytes for end in ends],
    }
    own, other = (end.facts.clock for end in ends)
    if own is not None and other is not None:
        spans = spans_of(pings, own, echoes, other)
        told |= {"wire_ns": spans.wire_ns.tolist(), "responding_ns": spans.responding_ns.tolist()}
        told |= {"probing_ns": spans.probing_ns.tolist()}
    return told


main()
