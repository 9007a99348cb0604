"""Everything that netprobe raises on purpose, as one tree.

NetprobeError
├── PlanError            the request cannot be carried out as written       (exit 4)
├── UnavailableError     a library, launcher or device is missing            (exit 4)
├── LaunchError          the ranks could not be started                      (exit 4)
├── TransportError       an MPI or verbs call failed on a rank               (exit 3)
│   └── PairError        two ranks cannot go on with each other; others can  (a record, no exit)
├── GpuError             a GPU failed: out of memory, or off the bus         (exit 3)
└── StoreError           a run directory cannot be read or written           (exit 4)
    └── FormatError      it is of another format, newer, or not ours         (exit 4)

A lost, late or corrupt message is data (model.series.Fault), never an exception. A message says what, where and
what to try, in one line.
"""

from netprobe.model.rdma import Breakdown
from netprobe.model.verdict import ExitCode


class NetprobeError(Exception):
    """Base of all errors that the command line prints as one line."""

    exit_code = ExitCode.SETUP_ERROR

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message if remedy is None else f"{message}; try: {remedy}")
        self.problem = message
        self.remedy = remedy


class PlanError(NetprobeError):
    """The request cannot be carried out as written."""


class UnavailableError(NetprobeError):
    """A library, launcher or device is missing."""


class LaunchError(NetprobeError):
    """The ranks could not be started, or ended before anything was measured."""


class TransportError(NetprobeError):
    """An MPI or verbs call failed on a rank."""

    exit_code = ExitCode.INCONCLUSIVE


class PairError(TransportError):
    """Two ranks cannot go on with each other over RDMA, the others can; raised on both of them."""

    def __init__(self, message: str, cause: Breakdown) -> None:
        super().__init__(message)
        self.cause = cause


class GpuError(NetprobeError):
    """A GPU cannot do what it was asked: its memory is used up, or it no longer answers."""

    exit_code = ExitCode.INCONCLUSIVE


class StoreError(NetprobeError):
    """A run directory cannot be read or written."""


class FormatError(StoreError):
    """A file is of a newer format, truncated, or somebody else's."""
