"""Fetch the newest kernel of a Debian suite with apt, without adding the suite to the system or installing anything."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netlab.errors import LabError

from rdmalab.machine import require_tool

_LATEST: Final = "linux-image-amd64"
_KEYS: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TARGETS: Final = (
    "indextargets",
    "--format",
    "$(RELEASE) $(CODENAME) $(COMPONENT) $(REPO_URI)",
    "Identifier: Packages",
)
_SETTINGS: Final = """Dir::Etc::sourcelist "{at}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "{at}/lists";
Dir::Cache "{at}/cache";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
"""
NEEDLESS: Final = (
    "sound",
    *(f"drivers/{each}" for each in ("ata", "comedi", "gpu", "hid", "hwmon", "iio", "input", "isdn", "media", "mtd")),
    *(f"drivers/{each}" for each in ("net/ethernet", "net/wireless", "platform", "scsi", "staging", "usb")),
)
"""Directories of modules that nothing in the guest can use: half of a kernel's size, and most of depmod's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apt:
    """apt with a suite as its only source, and all of its files in a directory of the lab's own."""

    suite: str
    directory: Path

    def update(self, mirror: str, keys: Path | None) -> None:
        """Read the suite's list of packages from a mirror; LabError when there is none."""
        for each in ("lists/partial", "cache/archives/partial"):
            (self.directory / each).mkdir(parents=True)
        (self.directory / "apt.conf").write_text(_SETTINGS.format(at=self.directory))
        signed = "" if keys is None else f"[signed-by={keys}] "
        (self.directory / "sources.list").write_text(f"deb {signed}{mirror} {self.suite} main\n")
        done = self._run("apt-get", "update", "-qq")
        if done.returncode != 0:
            raise refusal(self.suite, done.stderr)

    def described(self, package: str) -> str:
        """Return what the suite says of its newest version of a package; empty when it has none."""
        return self._run("apt-cache", "show", "--no-all-versions", "-t", self.suite, package).stdout

    def download(self, packages: Sequence[str]) -> tuple[Path, ...]:
        """Return the files of packages."""
        done = self._run("apt-get", "download", "-qq", *packages)
        if done.returncode != 0:
            raise refusal(self.suite, done.stderr)
        return tuple(self.directory.glob("*.deb"))

    def _run(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        environ = {**os.environ, "APT_CONFIG": str(self.directory / "apt.conf"), "LC_ALL": "C"}
        return subprocess.run(argv, cwd=self.directory, env=environ, capture_output=True, text=True, check=False)


def fetch(suite: str, directory: Path) -> str:
    """Unpack a suite's newest kernel as DIRECTORY/modules, with an image in it, and return its version."""
    for tool in ("apt-get", "dpkg-deb", "depmod"):
        require_tool(tool)
    apt = Apt(suite=suite, directory=directory / "apt")
    apt.directory.mkdir()
    apt.update(mirror(), _KEYS if _KEYS.exists() else None)
    version = newest_version(apt.described(_LATEST))
    if version is None:
        raise LabError(f"suite {suite} has no {_LATEST}", remedy="--suite with one of Debian's for amd64")
    for package in apt.download(parts(apt, version)):
        _checked("dpkg-deb", "-x", str(package), str(directory / "root"))
    _settle(directory, version)
    shutil.rmtree(apt.directory)
    return version


def mirror() -> str:
    """Return where this machine takes its own release of Debian from, whatever form its sources have."""
    said = subprocess.run(("apt-get", *_TARGETS), capture_output=True, text=True, check=False).stdout
    own = re.search(r"^VERSION_CODENAME=\W*(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    found = None if own is None else mirror_of(own[1], said)
    if found is None:
        raise LabError("apt's sources name no mirror of this release of Debian", remedy="apt-get indextargets")
    return found


def mirror_of(codename: str, targets: str) -> str | None:
    """Return the first mirror that has a release's main component, from what apt says of its sources."""
    for line in targets.splitlines():
        *releases, component, uri = line.split()
        if codename in releases and component == "main":
            return uri
    return None


def newest_version(described: str) -> str | None:
    """Return the version of the kernel that a metapackage stands for: 7.3.4+deb13-amd64."""
    found = re.search(r"linux-image-(\d[^ ,]*)", described)
    return None if found is None else found[1]


def parts(apt: Apt, version: str) -> tuple[str, ...]:
    """Return the packages that a kernel consists of: one, or several since Debian splits it."""
    found = [f"linux-image-{version}"]
    of_this_version = re.compile(rf"\blinux-[a-z]+-{re.escape(version)}(?![\w.+-])")
    for package in found:  # grows by what its members need
        needed = dict.fromkeys(of_this_version.findall(apt.described(package)))
        found += [name for name in needed if name not in found]
    return tuple(found)


def _settle(directory: Path, version: str) -> None:
    """Bring the image and the modules together, whichever way the packages lay them out, and index the modules."""
    root = directory / "root"
    modules = next((root / each for each in ("usr/lib/modules", "lib/modules") if (root / each).is_dir()), None)
    if modules is None:
        raise LabError(f"the packages of kernel {version} hold no modules", remedy="--suite trixie-backports")
    for each in NEEDLESS:
        shutil.rmtree(modules / version / "kernel" / each, ignore_errors=True)
    if not (modules / version / "vmlinuz").exists():
        (root / f"boot/vmlinuz-{version}").rename(modules / version / "vmlinuz")
    # depmod looks below lib/modules of the root that it is given.
    (directory / "lib").mkdir()
    modules.rename(directory / "lib/modules")
    _checked("depmod", "-b", str(directory), version)
    (directory / "lib/modules" / version).rename(directory / "modules")
    shutil.rmtree(root)
    shutil.rmtree(directory / "lib")


def _checked(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"{argv[0]}: {_first_line(done.stderr)}", remedy="df, and again")


def refusal(suite: str, said: str) -> LabError:
    """Return what to say when apt could not get something, from what it said itself."""
    if "does not have a Release file" in said:
        return LabError(f"this machine's mirror has no suite {suite}", remedy="--suite with one that it has")
    return LabError(f"apt cannot fetch from suite {suite}: {_first_line(said)}", remedy="apt-get update, and again")


def _first_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[0].removeprefix("E: ") if lines else "it said nothing"
