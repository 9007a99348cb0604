"""The built extension as a file: one binary for every MPI and every CPython from 3.11 on."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netprobe import _native


@pytest.fixture
def dynamic_section(need):
    """Return what readelf says of the extension's libraries and symbols."""
    readelf = shutil.which("readelf")
    need("readelf", readelf is not None and sys.platform == "linux", "install binutils")
    command = [readelf, "--wide", "--dynamic", "--dyn-syms", _native.__file__]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_file_is_for_every_later_python():
    assert ".abi3." in Path(_native.__file__).name


def test_no_mpi_library_is_needed_to_load_it(dynamic_section):
    needed = [line for line in dynamic_section.splitlines() if "(NEEDED)" in line]

    assert not [line for line in needed if "mpi" in line.lower()]


def test_no_mpi_symbol_is_left_open(dynamic_section):
    undefined = [line.split()[-1] for line in dynamic_section.splitlines() if " UND " in line]

    assert not [name for name in undefined if "MPI" in name or "mpi" in name]


def test_no_name_is_exported_that_another_library_may_have_too(dynamic_section):
    defined = [line.split()[-1] for line in dynamic_section.splitlines() if " GLOBAL " in line and " UND " not in line]

    assert "PyInit__native" in defined
    assert not [name for name in defined if not name.startswith(("PyInit_", "netprobe_"))]
