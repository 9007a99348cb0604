"""The MPI library of a launcher that somebody else started us with: the ranks must load it, or each stays alone."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from netprobe.errors import LaunchError
from netprobe.launch.find import Search
from netprobe.launch.library import library_of
from netprobe.launch.request import Family

_PROGRAMS: Final = (
    (Family.OPEN_MPI, re.compile(r"orterun|orted|prterun|prted")),
    (Family.MPICH, re.compile(r"hydra_pmi_proxy|hydra_bstrap_proxy|mpiexec\.hydra")),
)
_MOST_ANCESTORS: Final = 16


def outer_library(search: Search, ancestors: Iterable[Path]) -> Path | None:
    """Return the library that belongs to the launcher among ``ancestors``, which are programs, the nearest first.

    None: what mpi4py loads by itself will do, or the user has named one. LaunchError: it will not, and none that would
    is near the launcher.
    """
    found = next(((each, family) for each in ancestors if (family := _family_of(each)) is not None), None)
    if found is None or not search.sets_library:
        return None
    program, family = found
    if any(program.is_relative_to(folder.resolve().parent) for folder in search.own_folders):
        return None
    library = library_of(program, family)
    own = [each for each, _ in _PROGRAMS if any(library_of(bin_ / "mpiexec", each) for bin_ in search.own_folders)]
    if library is None and own and family not in own:
        raise LaunchError(
            f"{program} has started the ranks, but this Python environment holds {own[0]}, and no library of {family} "
            "is near that launcher",
            remedy="MPI4PY_LIBMPI with the launcher's libmpi.so, or netprobe without the launcher",
        )
    return library


def ancestors_here(proc: Path = Path("/proc")) -> Iterator[Path]:
    """Yield the programs that this process descends from, the nearest first; none where the system does not tell."""
    process = "self"
    for _ in range(_MOST_ANCESTORS):
        try:
            # The name of a program may hold spaces and parentheses; the parent is the second field after the last one.
            process = (proc / process / "stat").read_text().rpartition(")")[2].split()[1]
            yield (proc / process / "exe").readlink()
        except (OSError, IndexError):  # the first process of all, or somebody else's
            return


def library_setting(search: Search) -> Mapping[str, str]:
    """Return what the environment must hold before MPI is loaded in a rank that somebody else started."""
    library = outer_library(search, ancestors_here())
    return {} if library is None else {"MPI4PY_LIBMPI": str(library)}


def _family_of(program: Path) -> Family | None:
    return next((family for family, name in _PROGRAMS if name.fullmatch(program.name)), None)
