"""Which MPI library belongs to a launcher: mpi4py must load that one, or every rank finds itself alone.

mpi4py looks in this Python environment first and then wherever the dynamic linker looks. For an mpiexec from elsewhere
(a module, a distribution's package) the ranks are told by MPI4PY_LIBMPI.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from netprobe.launch.request import Family

_NAMES: Final = {
    Family.MPICH: ("libmpi.so.12", "libmpich.so.12", "libmpi.so"),  # Debian's MPICH is libmpich
    Family.OPEN_MPI: ("libmpi.so.40", "libmpi.so.20", "libmpi.so"),
}
_OTHERS: Final = {
    Family.MPICH: re.compile(r"openmpi|\.so\.[24]0"),
    Family.OPEN_MPI: re.compile(r"mpich|\.so\.1[0-9](\.|$)"),
}
# Intel MPI keeps its library in lib/release; Fedora keeps an MPI's in PREFIX/lib, its mpiexec in PREFIX/bin.
_FOLDERS: Final = ("lib", "lib64", "lib/release", "lib64/release")
_DEBIAN_FOLDERS: Final = ("", "openmpi/lib", "mpich/lib")


def library_of(mpiexec: Path, family: Family) -> Path | None:
    """Return the MPI library that was installed with ``mpiexec``; None when none of its family is near."""
    for folder in _folders(mpiexec):
        for name in _NAMES.get(family, ()):
            library = folder / name
            # A plain libmpi.so may lead, by way of /etc/alternatives, to the other family's.
            if library.is_file() and not _OTHERS[family].search(str(library.resolve())):
                return library
    return None


def _folders(mpiexec: Path) -> Iterator[Path]:
    for start in dict.fromkeys((mpiexec.absolute(), mpiexec.resolve())):
        prefix = start.parent.parent
        for folder in _FOLDERS:
            yield prefix / folder
        for multiarch in sorted((prefix / "lib").glob("*-linux-gnu*")):
            for folder in _DEBIAN_FOLDERS:
                yield multiarch / folder
