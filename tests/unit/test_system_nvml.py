"""NVML through nvidia-ml-py: what it tells, and every way in which it does not."""

from types import SimpleNamespace

import pytest
from fake_gpus import H100, LOST, MISMATCH, NO_LIBRARY, NO_PERMISSION, PCI, RESET, FakeNvml
from host_trees import write

from netprobe.model.gpu import GpuCondition, GpuCount, GpuLevels, Hold
from netprobe.system.here import recorded_system
from netprobe.system.nvml import Nvml, kernel_address, nvml_here
from netprobe.telemetry.gpu import SOURCE

KERNEL = "proc/driver/nvidia/gpus"


def host(root, *addresses):
    return write(root, {f"{KERNEL}/{address}/information": "Model: NVIDIA H100" for address in addresses or (PCI,)})


def opened(root, library):
    return Nvml(root, lambda: library)


def without(*names):
    return {name: answer for name, answer in H100.items() if name not in names}


@pytest.mark.parametrize(
    ("bus_id", "address"),
    [
        ("00000000:18:00.0", "0000:18:00.0"),
        ("0000:AF:00.1", "0000:af:00.1"),
        ("00010000:3B:00.0", "10000:3b:00.0"),
        ("", None),
        ("GPU-1", None),
    ],
)
def test_addresses_are_spelt_as_the_kernel_spells_them(bus_id, address):
    assert kernel_address(bus_id) == address


def test_a_host_without_the_driver_has_no_gpus_and_loads_no_library(tmp_path):
    assert nvml_here(tmp_path) is None
    assert SOURCE.read(recorded_system(tmp_path)) == {}


def test_the_library_is_loaded_at_the_first_question_and_once(tmp_path):
    library = FakeNvml(H100)
    gpus = opened(host(tmp_path), library)
    assert library.initialised == 0

    gpus.survey()
    gpus.levels(PCI)

    assert library.initialised == 1


def test_what_a_gpu_shows_comes_in_the_units_of_its_names(tmp_path):
    gpus = opened(host(tmp_path), FakeNvml(H100))

    survey = gpus.survey()

    assert survey.driver == "570.86.15"
    assert survey.unread == ()
    (device,) = survey.devices
    assert (device.pci, device.name) == (PCI, "NVIDIA H100 80GB HBM3")
    assert (device.sm_clock_target_mhz, device.slowdown_celsius, device.power_limit_watts) == (1980, 87, 700.0)
    assert gpus.levels(PCI) == GpuLevels(
        sm_clock_mhz=1755, memory_clock_mhz=2619, holds=frozenset({Hold.POWER_CAP}), celsius=61, power_watts=698.5,
        pcie_generation=5, pcie_width=16,
    )  # fmt: skip
    assert gpus.condition(PCI) == GpuCondition(
        links=18, links_active=17, links_switched=17, link_generation=4, remap_pending=True, remap_failed=False
    )


@pytest.mark.parametrize(
    ("masks", "node"),
    [([0b10, 0, 0, 0], 1), ([0, 1, 0, 0], 64), ([0b11, 0, 0, 0], None), ([0, 0, 0, 0], None), (None, None)],
)
def test_the_node_that_a_gpu_is_at_is_known_where_the_driver_names_one(tmp_path, masks, node):
    answers = {**H100, "nvmlDeviceGetMemoryAffinity": {(4, 0): masks}}
    (device,) = opened(host(tmp_path), FakeNvml(answers)).survey().devices

    assert device.numa_node == node


def test_links_of_a_driver_that_tells_neither_their_ends_nor_their_generation_are_counted_alone(tmp_path):
    untold = FakeNvml(without("nvmlDeviceGetNvLinkRemoteDeviceType", "nvmlDeviceGetNvLinkVersion"))
    condition = opened(host(tmp_path), untold).condition(PCI)

    assert (condition.links_active, condition.links_switched, condition.link_generation) == (17, None, None)


def test_counters_are_those_the_driver_has_and_links_are_added_up(tmp_path):
    counts = opened(host(tmp_path), FakeNvml(H100)).counters(PCI)

    assert counts == {
        GpuCount.ECC_CORRECTED: 7,
        GpuCount.ECC_UNCORRECTED: 1,
        GpuCount.THERMAL_NS: 5_000_000,
        GpuCount.BOARD_LIMIT_NS: 0,
        GpuCount.PCIE_REPLAY: 2,
        GpuCount.NVLINK_REPLAY: 17,
        GpuCount.NVLINK_RECOVERY: 0,
        GpuCount.NVLINK_CRC: 17 * 110,
    }


def test_the_source_names_counters_by_the_address_of_the_gpu(tmp_path):
    gpus = opened(host(tmp_path), FakeNvml(without("nvmlDeviceGetNvLinkState")))
    system = recorded_system(tmp_path)
    counted = SOURCE.read(type(system)(root=tmp_path, netlink=system.netlink, gpus=gpus))

    assert counted[f"gpu/{PCI}/ecc_uncorrected"] == 1
    assert not any("nvlink" in name for name in counted)


def test_gpus_that_count_recoveries_in_a_field_alone_are_asked_for_it(tmp_path):
    fields = [SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(ullVal=link % 2)) for link in range(16)]
    fields.append(SimpleNamespace(nvmlReturn=3, value=SimpleNamespace(ullVal=99)))

    class Blackwell(FakeNvml):
        def nvmlDeviceGetFieldValues(self, handle, fields_and_links):
            assert {field for field, _ in fields_and_links} == {215}
            return fields

    counts = opened(host(tmp_path), Blackwell(without("nvmlDeviceGetNvLinkErrorCounter"))).counters(PCI)

    assert counts[GpuCount.NVLINK_RECOVERY] == 8
    assert GpuCount.NVLINK_CRC not in counts


@pytest.mark.parametrize("name", [name for name in H100 if name != "nvmlDeviceGetName"])
def test_a_function_that_this_driver_does_not_have_is_an_absent_reading_and_nothing_else(tmp_path, name):
    gpus = opened(host(tmp_path), FakeNvml(without(name)))

    assert len(gpus.survey().devices) == 1
    assert gpus.levels(PCI).silence is None
    assert gpus.condition(PCI) is not None
    assert gpus.counters(PCI)


def test_the_older_name_of_a_function_is_asked_where_the_newer_one_is_not_there(tmp_path):
    old = {**without("nvmlDeviceGetCurrentClocksEventReasons"), "nvmlDeviceGetCurrentClocksThrottleReasons": 0x48}

    assert opened(host(tmp_path), FakeNvml(old)).levels(PCI).holds == {Hold.HARDWARE, Hold.HARDWARE_THERMAL}


def test_a_gpu_before_ampere_tells_of_pages_instead_of_rows(tmp_path):
    old = {**without("nvmlDeviceGetRemappedRows"), "nvmlDeviceGetRetiredPagesPendingStatus": 1}

    assert opened(host(tmp_path), FakeNvml(old)).condition(PCI).remap_pending is True


@pytest.mark.parametrize("nonsense", [(1 << 32) - 1, -1, "many", None, 1 << 63])
def test_numbers_that_stand_for_not_known_are_not_taken_for_levels(tmp_path, nonsense):
    gpus = opened(host(tmp_path), FakeNvml({**H100, "nvmlDeviceGetCurrPcieLinkWidth": nonsense}))

    assert gpus.levels(PCI).pcie_width is None


def test_a_missing_package_is_told_with_how_to_install_it(tmp_path):
    def load():
        raise ModuleNotFoundError("No module named 'pynvml'")

    (unread,) = Nvml(host(tmp_path), load).survey().unread

    assert unread.pci is None
    assert unread.reason == "nvidia-ml-py is not installed (pip install 'netprobe[gpu]')"


def test_a_package_of_the_same_name_or_a_broken_one_is_told(tmp_path):
    def load():
        raise RuntimeError("no GPU\nfound")

    assert "is not NVIDIA's" in opened(host(tmp_path), SimpleNamespace()).survey().unread[0].reason
    assert Nvml(host(tmp_path), load).survey().unread[0].reason == "pynvml cannot be imported: no GPU found"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (NO_LIBRARY, "NVML Shared Library Not Found (libnvidia-ml.so.1 comes with the driver"),
        (MISMATCH, "restart the host"),
        (NO_PERMISSION, "nvidia-smi says more"),
    ],
)
def test_a_driver_that_cannot_be_used_is_one_line(tmp_path, code, says):
    gpus = opened(host(tmp_path), FakeNvml(H100, opens=code))

    (unread,) = gpus.survey().unread

    assert says in unread.reason
    assert "\n" not in unread.reason
    assert gpus.levels(PCI).silence == "NVML does not know it"
    assert gpus.condition(PCI) == GpuCondition()
    assert gpus.counters(PCI) == {}


@pytest.mark.parametrize("code", [LOST, RESET])
def test_a_gpu_that_falls_off_the_bus_says_so_and_is_asked_nothing_more(tmp_path, code):
    gpu = dict(H100)
    gpus = opened(host(tmp_path), FakeNvml(gpu))
    assert gpus.levels(PCI).silence is None

    gpu["error"] = code

    assert gpus.levels(PCI).silence.startswith("the driver says: ")
    assert gpus.levels(PCI).sm_clock_mhz is None
    assert gpus.condition(PCI) == GpuCondition()
    assert gpus.counters(PCI) == {}


def test_a_gpu_that_was_lost_before_is_named_by_the_address_that_the_kernel_knows(tmp_path):
    root = host(tmp_path, "0000:18:00.0", "0000:2a:00.0")

    survey = opened(root, FakeNvml(H100, LOST)).survey()

    assert [device.pci for device in survey.devices] == ["0000:18:00.0"]
    assert [(each.pci, each.reason) for each in survey.unread] == [
        ("0000:2a:00.0", "GPU 1: the driver says: GPU is lost")
    ]


def test_a_gpu_that_nvml_does_not_list_is_named_as_well(tmp_path):
    (unread,) = opened(host(tmp_path, PCI, "0000:2a:00.0"), FakeNvml(H100)).survey().unread

    assert unread.pci == "0000:2a:00.0"
    assert "fallen off the bus" in unread.reason


def test_a_failure_that_fits_no_address_is_told_without_one(tmp_path):
    (unread,) = opened(host(tmp_path), FakeNvml(H100, LOST)).survey().unread

    assert unread.pci is None
    assert unread.reason.startswith("GPU 1: ")


def test_a_gpu_without_an_address_is_told(tmp_path):
    survey = opened(host(tmp_path), FakeNvml(H100, bus_ids=["nowhere"])).survey()

    assert survey.devices == ()
    assert survey.unread[0].reason == "GPU 0: NVML gives no PCI address"


def test_a_driver_that_tells_nothing_of_a_gpu_is_told_with_its_last_word(tmp_path):
    gpus = opened(host(tmp_path), FakeNvml({}))

    assert gpus.levels(PCI).silence == "the driver says: Not Supported"


def test_names_of_functions_are_those_of_the_package_where_it_is_installed():
    pynvml = pytest.importorskip("pynvml", reason="needs nvidia-ml-py")

    assert all(hasattr(pynvml, name) for name in (*H100, "nvmlDeviceGetFieldValues", "nvmlDeviceGetHandleByIndex"))
    assert pynvml.NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS == 215
