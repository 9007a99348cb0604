"""NCCL's log of this rank: asked for before NCCL is first called, read while it runs, and gone whatever becomes of it.

The file is open here before NCCL opens it by its name, and its name is taken away as soon as NCCL has: whoever ends
this process leaves nothing behind. Read again after the stages, it tells what the measured sizes took: a line for each
call that was put onto a stream (TUNING; a NCCL that does not know that part says nothing of it), often of rank 0 alone.
"""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from netprobe.model.endpoint import Rank
from netprobe.model.nccl import NcclFacts
from netprobe.transports.nccl_log import parse_nccl_log

LOGGING: Final = {"NCCL_DEBUG": "INFO", "NCCL_DEBUG_SUBSYS": "VERSION,INIT,NET,ENV,TUNING"}
LOG_FILE: Final = "NCCL_DEBUG_FILE"
LARGEST_BYTES: Final = 16 << 20
"""That are read of a log: some 150,000 calls, which only a rank without graphs can make."""


@dataclass(frozen=True, slots=True)
class OwnLog:
    """A log that is read by its handle."""

    path: Path
    handle: int

    def settings(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the variables by which NCCL writes it; what the user has set already stays."""
        return {**{name: value for name, value in LOGGING.items() if name not in environment}, LOG_FILE: str(self.path)}

    def forget_name(self) -> None:
        """Take its name away; whoever has it open goes on."""
        with suppress(OSError):
            self.path.unlink()

    def facts(self, own: Rank) -> NcclFacts | None:
        """Return what it says of this rank, under the name that its host has here; None where it says nothing."""
        found = self._read(own.host)
        return replace(found[0], host=own.host, rank=own.rank) if found else None

    def last_warning(self) -> str:
        """Return its last warning, in brackets; nothing where there is none."""
        warnings = [text for each in self._read(None) for text in each.warnings]
        return f" ({warnings[-1]})" if warnings else ""

    def close(self) -> None:
        """Give it back."""
        self.forget_name()
        with suppress(OSError):
            os.close(self.handle)

    def _read(self, host: str | None) -> tuple[NcclFacts, ...]:
        try:
            text = os.pread(self.handle, LARGEST_BYTES, 0).decode("utf-8", errors="replace")
        except OSError:
            return ()
        return parse_nccl_log(text, host)


def own_log(environment: Mapping[str, str]) -> OwnLog | None:
    """Return a log for NCCL; None where the user has said where it goes, or how much is wanted."""
    if "NCCL_DEBUG" in environment or LOG_FILE in environment:
        return None
    try:
        handle, name = tempfile.mkstemp(prefix="netprobe-nccl-", suffix=".log")
    except OSError:
        return None
    return OwnLog(Path(name), handle)
