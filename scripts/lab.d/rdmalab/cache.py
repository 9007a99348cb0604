"""Where kernels are kept between runs: CACHE/SUITE/VERSION, complete or not there at all."""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from netlab.errors import LabError

from rdmalab.kernel import Kernel

Fetch = Callable[[str, Path], str]
"""Unpacks a suite's newest kernel in an empty directory, and returns its version."""
_UNFINISHED: Final = "unfinished-"


def directory(given: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the cache's directory: the one that is asked for, or the user's own."""
    if given is not None:
        return given.absolute()
    home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "/root")) / ".cache")
    return Path(home) / "rdma-lab"


def kernel(cache: Path, suite: str, fetch: Fetch, *, is_fresh: bool = False) -> Kernel:
    """Return the newest kernel of a suite that is kept; fetch it when none is, or when a fresh one is asked for."""
    with _locked(cache / suite) as kept:
        if is_fresh or not _versions(kept):
            _keep(kept, suite, fetch)
        version = _versions(kept)[-1]
    return Kernel(version=version, modules=kept / version / "modules")


def _keep(kept: Path, suite: str, fetch: Fetch) -> None:
    """Fetch beside the kept ones, and then rename: one that was cut off is never taken for complete."""
    for each in kept.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(each)
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=kept))
    try:
        version = fetch(suite, unfinished)
        shutil.rmtree(kept / version, ignore_errors=True)
        unfinished.chmod(0o755)
        unfinished.rename(kept / version)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _versions(kept: Path) -> list[str]:
    names = (path.name for path in kept.iterdir() if path.name[0].isdigit())
    return sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


@contextmanager
def _locked(kept: Path) -> Iterator[Path]:
    """Have only one command fetch at a time; the others find what it fetched."""
    try:
        kept.mkdir(parents=True, exist_ok=True)
        opened = os.open(kept / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LabError(f"{kept}: {error.strerror}", remedy="--cache with a directory to write to") from error
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield kept
    finally:
        os.close(opened)
