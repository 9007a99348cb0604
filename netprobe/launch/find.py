"""Which launchers there are, best first.

The one that was named; in a Slurm allocation srun; an mpiexec from a module or the system, since it knows the
cluster's fabric; the one that a wheel put into this Python environment.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Final

from netprobe.errors import UnavailableError
from netprobe.launch.library import library_of
from netprobe.launch.request import Family, Launcher

VERSION_TIMEOUT_S: Final = 10  # takes 0.1 s; a launcher on a hanging file system must not hang us
_PROGRAMS: Final = ("mpiexec", "mpirun")
_FAMILY_MARKS: Final = (
    (Family.OPEN_MPI, re.compile(r"open[ -]?mpi|openrte|prte|prrte", re.IGNORECASE)),
    (Family.MPICH, re.compile(r"hydra|mpich|intel\(r\) mpi|mvapich", re.IGNORECASE)),
    (Family.SRUN, re.compile(r"^slurm", re.IGNORECASE)),
)
_VERSION_LINE: Final = re.compile(r"\d+\.\d+")

ReadVersion = Callable[[Path], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where to look for launchers."""

    path: tuple[Path, ...]
    """The folders of PATH."""
    own_folders: tuple[Path, ...]
    """Where this Python environment keeps its programs."""
    in_allocation: bool = False
    named: Path | None = None
    sets_library: bool = True
    """False when the user already says which MPI library mpi4py loads."""


def search_here(environ: Mapping[str, str], *, in_allocation: bool, named: Path | None) -> Search:
    """Return where to look, for this process."""
    import site
    import sys

    folders = [Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    # A wheel in /usr would share the folder with the distribution's own MPI: there nothing is "ours".
    prefixes = [Path(prefix) for prefix in (sys.prefix, site.getuserbase()) if prefix != "/usr"]
    return Search(
        path=tuple(folders),
        own_folders=tuple(prefix / "bin" for prefix in prefixes),
        in_allocation=in_allocation,
        named=named,
        sets_library=not {"MPI4PY_LIBMPI", "MPI4PY_MPIABI"} & set(environ),
    )


def read_version(path: Path) -> str:
    """Return what a launcher prints about its version; empty when it cannot be run."""
    command = (str(path), "--version")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=VERSION_TIMEOUT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def find_launchers(search: Search, read: ReadVersion = read_version) -> tuple[Launcher, ...]:
    """Return the launchers of this host, best first; raise UnavailableError when there is none."""
    if search.named is not None:
        return (_named(search.named, search, read),)
    found = [_described(path, read(path), search) for path in _programs(search)]
    launchers = tuple(launcher for launcher in found if launcher is not None)
    if not launchers:
        raise UnavailableError(
            "no mpiexec was found: not on PATH, and not in this Python environment",
            remedy="pip install 'netprobe[mpi]', or load an MPI module",
        )
    return launchers


def family_of(version: str) -> Family | None:
    """Return the family of a launcher that printed this; None for anything else."""
    return next((family for family, mark in _FAMILY_MARKS if mark.search(version)), None)


def _programs(search: Search) -> Iterator[Path]:
    """Yield each launcher once, however many names lead to it."""
    seen: set[Path] = set()
    for path in _paths(search):
        if path.is_file() and path.resolve() not in seen:
            seen.add(path.resolve())
            yield path


def _paths(search: Search) -> Iterator[Path]:
    if search.in_allocation:
        yield from (folder / "srun" for folder in search.path)
    own = {folder.resolve() for folder in search.own_folders}
    outside = [folder for folder in search.path if folder.resolve() not in own]
    for folder in (*outside, *search.own_folders):
        # mpirun is the same program as the mpiexec beside it.
        yield next((folder / name for name in _PROGRAMS if (folder / name).is_file()), folder / _PROGRAMS[0])


def _named(path: Path, search: Search, read: ReadVersion) -> Launcher:
    located = which(path, path=os.pathsep.join(str(folder) for folder in search.path))
    if located is None:
        raise UnavailableError(f"--mpiexec {path}: there is no such program", remedy="the path of an mpiexec or srun")
    version = read(Path(located))
    launcher = _described(Path(located), version, search)
    if launcher is None:
        said = (version.strip().splitlines() or ["nothing"])[0]
        raise UnavailableError(
            f"--mpiexec {path}: asked for its version it says {said!r}, which no known launcher does",
            remedy="the mpiexec of MPICH, Intel MPI, MVAPICH or Open MPI, or srun",
        )
    return launcher


def _described(path: Path, version: str, search: Search) -> Launcher | None:
    family = family_of(version)
    if family is None:
        return None
    is_own = path.parent.resolve() in {folder.resolve() for folder in search.own_folders}
    library = None if is_own or not search.sets_library else library_of(path, family)
    return Launcher(path=path, family=family, version=_version_line(version, family), library=library)


def _version_line(version: str, family: Family) -> str:
    """Return the launcher's name with its number: Hydra's first line holds none."""
    line = next((line.strip() for line in version.splitlines() if _VERSION_LINE.search(line)), "")
    is_hydra = family is Family.MPICH and line.startswith("Version:")
    return "HYDRA " + line.removeprefix("Version:").strip() if is_hydra else line
