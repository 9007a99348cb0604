"""A kernel that was unpacked below a directory: where its parts are, and which modules a module needs."""

import lzma
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from netlab.errors import LabError


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One version's files."""

    version: str
    modules: Path
    """The directory that a running kernel knows as /lib/modules/VERSION; the image lies in it too."""

    @property
    def image(self) -> Path:
        """What a boot loader starts."""
        return self.modules / "vmlinuz"

    def module_files(self, names: tuple[str, ...]) -> tuple[Path, ...]:
        """Return the files of some modules and of all that these need, in the order in which they load.

        Built-in ones have none. LabError when the kernel has one neither way.
        """
        dependencies = parse_dependencies((self.modules / "modules.dep").read_text())
        built_in = frozenset(map(module_name, (self.modules / "modules.builtin").read_text().split()))
        missing = sorted(set(names) - set(dependencies) - built_in)
        if missing:
            raise LabError(
                f"kernel {self.version} in {self.modules} has no {missing[0]}", remedy="rdma-lab fetch, or --suite"
            )
        files = (each for name in names for each in dependencies.get(name, ()))
        return tuple(self.modules / each for each in dict.fromkeys(files))


def parse_dependencies(text: str) -> dict[str, tuple[str, ...]]:
    """Read a modules.dep of depmod: for each module's name the files to load, its own last."""
    lines = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {module_name(path): (*reversed(needed.split()), path) for path, _, needed in lines}


def module_name(path: str) -> str:
    """Return the name of the module in a file, as the kernel spells it."""
    return PurePosixPath(path).name.partition(".ko")[0].replace("-", "_")


def plain_module(path: Path) -> tuple[str, bytes]:
    """Return a module's file name without the suffix of its compression, and its content as the kernel takes it."""
    content = path.read_bytes()
    return path.name.removesuffix(".xz"), lzma.decompress(content) if path.suffix == ".xz" else content
