"""What all native verbs share: how a failure reads, and how a packet finds its way."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from netprobe import _native
from netprobe.transports._verbs_engine import Broken

STATUSES: Final = (
    "SUCCESS", "LOC_LEN_ERR", "LOC_QP_OP_ERR", "LOC_EEC_OP_ERR", "LOC_PROT_ERR", "WR_FLUSH_ERR", "MW_BIND_ERR",
    "BAD_RESP_ERR", "LOC_ACCESS_ERR", "REM_INV_REQ_ERR", "REM_ACCESS_ERR", "REM_OP_ERR", "RETRY_EXC_ERR",
    "RNR_RETRY_EXC_ERR", "LOC_RDD_VIOL_ERR", "REM_INV_RD_REQ_ERR", "REM_ABORT_ERR", "INV_EECN_ERR",
    "INV_EEC_STATE_ERR", "FATAL_ERR", "RESP_TIMEOUT_ERR", "GENERAL_ERR", "TM_ERR", "TM_RNDV_INCOMPLETE",
)  # enum ibv_wc_status  # fmt: skip
PORT_BITS: Final = 14  # UDP source ports of RoCE v2 start at 0xC000
HOPS: Final = 64


def flow_label(source_port: int | None, index: int) -> int:
    """Return the flow label whose UDP source port is this one, plus the index of the queue pair; 0: the driver chooses.

    A port has the low 14 bits of a label, xor its high 6, above 0xC000 (ibv_flow_label_to_udp_sport); with 1 in the
    high ones no label is 0.
    """
    if source_port is None:
        return 0
    return 1 << PORT_BITS | ((source_port + index) % (1 << PORT_BITS) ^ 1)


@contextmanager
def translated() -> Iterator[None]:
    """Turn a VerbsError into Broken, in words."""
    try:
        yield
    except _native.VerbsError as error:
        call, status, vendor_error, number, messages, waited_ns = error.args
        raise Broken(
            call,
            status=None if status is None else STATUSES[status] if status < len(STATUSES) else f"status {status}",
            vendor_error=None if status is None else vendor_error,
            error=os.strerror(number) if number else None,
            messages=messages,
            waited_ns=waited_ns,
        ) from error
