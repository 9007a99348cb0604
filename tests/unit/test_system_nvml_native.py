"""The edge to NVML through nvidia-ml-py itself, on a library of our own: names, arguments and structures are real."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from host_trees import write

HERE = Path(__file__).parent
PCI = "0000:af:00.0"
ASK = """
import sys
from pathlib import Path

import msgspec

from netprobe.system.nvml import nvml_here

gpus, pci = nvml_here(Path(sys.argv[1])), sys.argv[2]
told = [gpus.survey(), gpus.levels(pci), gpus.condition(pci), dict(gpus.counters(pci))]
print(msgspec.json.encode(told).decode())
"""


@pytest.fixture(scope="module")
def library(need, tmp_path_factory):
    if find_spec("pynvml") is None:
        pytest.skip("nvidia-ml-py is missing: the extra 'test' has it")
    need("wheel", shutil.which("cc") is not None, "a C compiler")
    folder = tmp_path_factory.mktemp("nvml")
    built = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-o", built, HERE / "fake_nvml.c"], check=True)
    return folder


def asked(library, root, **environment):
    write(root, {f"proc/driver/nvidia/gpus/{PCI}/information": "Model: Fake"})
    found = subprocess.run(
        [sys.executable, "-c", ASK, root, PCI],
        env={**os.environ, "LD_LIBRARY_PATH": f"{library}", **environment},
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return json.loads(found.stdout)


def test_every_reading_is_asked_for_as_the_library_wants_it(library, tmp_path):
    survey, levels, condition, counters = asked(library, tmp_path)

    (device,) = survey["devices"]
    assert (survey["driver"], survey["unread"]) == ("570.86.15", [])
    assert device == {
        "pci": PCI, "name": "Fake", "sm_clock_target_mhz": 2001, "memory_clock_most_mhz": 2002, "slowdown_celsius": 87,
        "power_limit_watts": 700.0, "pcie_generation_most": 5, "pcie_width_most": 16,
        "numa_node": 1,
    }  # fmt: skip
    assert sorted(levels.pop("holds")) == ["hardware slowdown", "hardware thermal slowdown"]
    assert levels == {
        "sm_clock_mhz": 1001, "memory_clock_mhz": 1002, "celsius": 60, "power_watts": 650.5, "pcie_generation": 4,
        "pcie_width": 8, "silence": None,
    }  # fmt: skip
    assert condition == {
        "links": 4, "links_active": 3, "links_switched": 3, "link_generation": 4, "remap_pending": True,
        "remap_failed": False,
    }  # fmt: skip
    assert counters == {
        "ecc_corrected": 10, "ecc_uncorrected": 11, "thermal_ns": 1_000_000, "pcie_replay": 3, "nvlink_replay": 3,
        "nvlink_crc": 3 + 100 * (0 + 2 + 3), "nvlink_recovery": 0 + 2 + 3,
    }  # fmt: skip


def test_a_gpu_that_is_lost_says_so_through_the_library_as_well(library, tmp_path):
    _, levels, condition, counters = asked(library, tmp_path, FAKE_NVML="lost")

    assert levels["silence"] == "the driver says: GPU is lost"
    assert set(condition.values()) == {None}
    assert counters == {}
