"""What the operating system is set to, and that what is not known is not claimed."""

import pytest
from host_trees import link, pci, write
from hypothesis import given
from hypothesis import strategies as st

from netprobe.inventory.pci import pci_devices
from netprobe.inventory.settings import (
    UNLIMITED,
    hands_out_dma_buf,
    parse_environment,
    parse_iommu,
    parse_memlock,
    system_settings,
)
from netprobe.system.here import recorded_system

LIMITS = "Limit Soft Hard Units\nMax locked memory         {}              unlimited            bytes     \n"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  (dvs-builder)\n"
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version: 12.3\n"
CPU = "sys/devices/system/cpu"
GROUPS = "sys/kernel/iommu_groups"


def settings(root, files=None):
    system = recorded_system(write(root, files or {}))
    return system_settings(system, pci_devices(system, ["0000:17:00.0"]))


def gpu(root, vendor="0x10de"):
    pci(root, "0000:16:01.0", "0000:1b:00.0", files={"vendor": vendor, "class": "0x030200"})


def test_a_system_that_tells_nothing_is_not_known(tmp_path):
    told = settings(tmp_path)

    assert (told.kernel, told.memlock_bytes, told.governor, told.deepest_idle_state) == (None,) * 4
    assert (told.iommu, told.gpu_direct, told.environment) == (None, None, ())


@pytest.mark.parametrize(("limit", "expected"), [("8388608", 8388608), ("unlimited", UNLIMITED), ("-1", None)])
def test_the_limit_of_locked_memory_is_the_one_in_force(limit, expected, tmp_path):
    assert settings(tmp_path, {"proc/self/limits": LIMITS.format(limit)}).memlock_bytes == expected


@pytest.mark.parametrize(
    ("governors", "expected"),
    [
        (("performance", "performance"), "performance"),
        (("performance", "powersave"), "mixed"),
        ((), None),
    ],
)
def test_the_governor_is_that_of_all_processors(governors, expected, tmp_path):
    files = {f"{CPU}/cpufreq/policy{number}/scaling_governor": each for number, each in enumerate(governors)}

    assert settings(tmp_path, files).governor == expected


@pytest.mark.parametrize(("disabled", "expected"), [((0, 0, 0), "C6"), ((0, 0, 1), "C1"), ((1, 1, 1), None)])
def test_the_deepest_idle_state_is_one_that_is_enabled(disabled, expected, tmp_path):
    names = ("POLL", "C1", "C6")
    folder = f"{CPU}/cpu0/cpuidle"
    files = {f"{folder}/state{number}/name": name for number, name in enumerate(names)}

    told = settings(tmp_path, {**files, **{f"{folder}/state{n}/disable": each for n, each in enumerate(disabled)}})

    assert told.deepest_idle_state == expected


def test_the_iommu_is_judged_by_the_groups_of_nics_and_gpus(tmp_path):
    nic = pci(tmp_path, "0000:16:01.0", "0000:17:00.0")
    write(tmp_path, {f"{GROUPS}/1/type": "DMA-FQ", f"{GROUPS}/2/type": "identity"})
    link(tmp_path, f"{nic}/iommu_group", f"{GROUPS}/2")

    assert settings(tmp_path).iommu == "identity"

    write(tmp_path, {f"{GROUPS}/2/type": "DMA"})
    assert settings(tmp_path).iommu == "translated"


def test_without_nics_all_groups_tell(tmp_path):
    assert settings(tmp_path, {f"{GROUPS}/1/type": "DMA-FQ", f"{GROUPS}/2/type": "identity"}).iommu == "translated"


def test_no_groups_are_no_iommu(tmp_path):
    (tmp_path / GROUPS).mkdir(parents=True)

    assert settings(tmp_path).iommu == "off"


@pytest.mark.parametrize(
    ("command_line", "expected"),
    [
        ("quiet intel_iommu=on iommu=pt", "identity"),
        ("amd_iommu=on", "translated"),
        ("intel_iommu=off", "off"),
        ("quiet", None),
    ],
)
def test_groups_without_types_leave_the_kernels_options(command_line, expected):
    assert parse_iommu(["", ""], command_line) == expected


def test_a_host_without_gpus_has_no_gpu_direct(tmp_path):
    assert settings(tmp_path, {"sys/module/nvidia_peermem/refcnt": "0"}).gpu_direct is None


@pytest.mark.parametrize("path", ["sys/module/nvidia_peermem/refcnt", "sys/kernel/mm/memory_peers/nv_mem/version"])
def test_peer_memory_is_told_by_its_module(path, tmp_path):
    gpu(tmp_path)

    assert settings(tmp_path, {path: "1"}).gpu_direct == "peer-memory"


@pytest.mark.parametrize(
    ("kernel", "driver", "expected"),
    [
        ("6.8.0-41-generic", OPEN, "dma-buf"),
        ("5.12.0", OPEN, "dma-buf"),
        ("5.4.0-150-generic", OPEN, "none"),
        ("6.8.0", OPEN.replace("550.54.15", "510.47.03"), "none"),
        ("6.8.0", CLOSED, "none"),
        ("6.8.0", "", None),
        ("", OPEN, None),
    ],
)
def test_dma_buf_needs_the_kernel_and_the_open_driver(kernel, driver, expected, tmp_path):
    gpu(tmp_path)

    files = {"proc/sys/kernel/osrelease": kernel, "proc/driver/nvidia/version": driver}

    assert settings(tmp_path, files).gpu_direct == expected


def test_of_another_vendors_gpu_it_is_not_known(tmp_path):
    gpu(tmp_path, vendor="0x1002")

    assert settings(tmp_path, {"proc/sys/kernel/osrelease": "6.8.0"}).gpu_direct is None


def test_of_the_environment_only_settings_of_libraries_are_told(tmp_path):
    environ = b"NCCL_IB_HCA=mlx5\0PATH=/bin\0AWS_SECRET_ACCESS_KEY=x\0UCX_TLS=rc\0NCCL_TOKEN=y\0UCX_X=\x1b[2J\0"

    assert settings(tmp_path, {"proc/self/environ": environ}).environment == (
        ("NCCL_IB_HCA", "mlx5"),
        ("UCX_TLS", "rc"),
    )


@given(text=st.text(), content=st.binary())
def test_nothing_stops_a_parser(text, content):
    parse_memlock(f"Max locked memory{text}")
    parse_iommu([text], text)
    hands_out_dma_buf(text, text)
    parse_environment(content)
