"""Trees of kernel files: recorded ones of tests/fixtures/hosts, and hand-made ones."""

import os
from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "fixtures" / "hosts"
RDMA = "sys/class/infiniband"


def recorded(name):
    """Return the (path, value) of each line; a file list has no values, and gets counts instead."""
    for number, line in enumerate((FIXTURES / f"{name}.txt").read_text().splitlines(), start=1):
        path, colon, value = line.lstrip("/").partition(":")
        yield path, value if colon else f"{number}"


def write(root, files):
    """Write files below a root, and return it; bytes as they are, text with the kernel's line end."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())
    return root


def link(root, path, target):
    """Make a relative link below a root, as sysfs does."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(os.path.relpath(root / target, (root / path).parent.resolve()))


def pci(root, *path, files=None, **attributes):
    """Make a PCI device at the end of a path from its root complex, and return its folder relative to the root."""
    folder = "sys/devices/pci" + ":".join(path[0].split(":")[:2]) + "/" + "/".join(path)
    write(root, {f"{folder}/{name}": content for name, content in {**attributes, **(files or {})}.items()})
    (root / folder).mkdir(parents=True, exist_ok=True)
    link(root, f"sys/bus/pci/devices/{path[-1]}", folder)
    return folder


def link_of(speed, width, most=None, lanes=None):
    """Return the files that tell a PCI link: GT/s and lanes, now and at most."""
    return {
        "current_link_speed": f"{speed} GT/s PCIe",
        "current_link_width": f"{width}",
        "max_link_speed": f"{most or speed} GT/s PCIe",
        "max_link_width": f"{lanes or width}",
    }
