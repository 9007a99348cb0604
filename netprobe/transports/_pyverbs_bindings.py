"""The modules of rdma-core's Python bindings that the reference engine uses, whatever a release calls them."""

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from netprobe.errors import UnavailableError
from netprobe.transports._verbs_engine import Broken

Foreign = Any
"""An object or a module of pyverbs, which has no types of its own."""

ENUMS: Final = ("libibverbs_enums", "enums")
"""From rdma-core 57 on, and up to it."""
STATUS_PREFIX: Final = "IBV_WC_"
NO_NUMBER: Final = -1  # PyverbsRDMAError without one


@dataclass(frozen=True, slots=True, kw_only=True)
class Bindings:
    """The modules; pyverbs.enums under either name."""

    addr: Foreign
    cq: Foreign
    device: Foreign
    enums: Foreign
    mr: Foreign
    pd: Foreign
    pyverbs_error: Foreign
    qp: Foreign
    wr: Foreign


def load_bindings(find: Callable[[str], Foreign] = importlib.import_module) -> Bindings:
    """Import pyverbs; UnavailableError tells why that cannot be."""
    try:
        find("pyverbs")
    except ImportError as error:
        raise UnavailableError(
            "pyverbs, the Python bindings of rdma-core, is not installed for this Python",
            remedy="the package python3-pyverbs with the system's own Python, or the native engine",
        ) from error
    try:
        modules = {name: find(f"pyverbs.{name}") for name in Bindings.__dataclass_fields__ if name != "enums"}
        return Bindings(enums=_enums(find), **modules)
    except ImportError as error:
        raise UnavailableError(
            f"pyverbs cannot be loaded ({str(error).splitlines()[0]})",
            remedy="pyverbs and libibverbs of one release, for this release of Python, or the native engine",
        ) from error


def _enums(find: Callable[[str], Foreign]) -> Foreign:
    newer, older = ENUMS
    try:
        return find(f"pyverbs.{newer}")
    except ModuleNotFoundError:
        return find(f"pyverbs.{older}")


@contextmanager
def broken_by(bindings: Bindings, call: str) -> Iterator[None]:
    """Turn an error of pyverbs into Broken."""
    try:
        yield
    except bindings.pyverbs_error.PyverbsError as error:
        raise Broken(call, error=reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """Return what the system said of a call that failed; what pyverbs says where there is no number."""
    number = getattr(error, "error_code", NO_NUMBER)
    return str(error) if number in (NO_NUMBER, 0) else os.strerror(abs(number))


def status_of(bindings: Bindings, status: int) -> str:
    """Return ``RETRY_EXC_ERR`` of a completion's status."""
    try:
        name: str = bindings.enums.ibv_wc_status(status).name
    except ValueError:  # newer than these bindings
        return f"status {status}"
    return name.removeprefix(STATUS_PREFIX)
