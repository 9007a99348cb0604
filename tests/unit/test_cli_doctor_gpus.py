"""What the doctor says of GPUs and their driver."""

from pathlib import Path

from fake_gpus import BUSY, PCI, FakeGpus
from host_trees import write

from netprobe.cli.doctor import examine
from netprobe.cli.doctor_gpus import gpu_health_answers
from netprobe.model.gpu import GpuDevice, GpuSurvey, UnreadGpu


def answer(survey, root=Path("/nowhere")):
    (found,) = gpu_health_answers(root, FakeGpus(BUSY, survey=survey))
    return found


def test_a_host_without_the_driver_has_no_line_of_it(tmp_path):
    assert gpu_health_answers(tmp_path) == ()


def test_driver_and_count_are_told():
    devices = tuple(GpuDevice(pci=f"0000:{at:02x}:00.0", name="NVIDIA H100 80GB HBM3") for at in range(8))

    found = answer(GpuSurvey(driver="570.86.15", devices=devices))

    assert (found.can, found.seen) == (True, "driver 570.86.15: 8 NVIDIA H100 80GB HBM3")


def test_a_library_that_is_missing_is_told_with_what_to_try():
    found = answer(GpuSurvey(unread=(UnreadGpu(pci=None, reason="nvidia-ml-py is not installed (pip install x)"),)))

    assert (found.can, found.seen) == (False, "no GPU can be read; nvidia-ml-py is not installed (pip install x)")


def test_a_single_gpu_that_is_lost_is_named_beside_the_others():
    survey = GpuSurvey(
        driver="570.86.15",
        devices=(GpuDevice(pci=PCI, name="NVIDIA H100"),),
        unread=(UnreadGpu(pci="0000:2a:00.0", reason="the driver says: GPU is lost"),),
    )

    found = answer(survey)

    assert found.can is False
    assert found.seen == "driver 570.86.15: 1 NVIDIA H100; 0000:2a:00.0: the driver says: GPU is lost"


def test_the_whole_doctor_tells_of_a_driver_without_its_library(tmp_path, capsys):
    write(tmp_path, {f"proc/driver/nvidia/gpus/{PCI}/information": "Model: NVIDIA H100"})

    examine(tmp_path)

    told = capsys.readouterr().out
    assert "GPU present; " in told  # and why CUDA cannot use it here: no CuPy, or no driver
    assert ("there is no NVIDIA driver" in told) or ("CuPy cannot be loaded" in told)
    assert "gpu-health " in told


def test_a_gpu_that_the_driver_sees_at_another_node_than_sysfs_is_told(tmp_path):
    write(tmp_path, {f"sys/bus/pci/devices/{PCI}/numa_node": "0"})

    def told(node):
        survey = GpuSurvey(devices=(GpuDevice(pci=PCI, name="NVIDIA H100", numa_node=node),))
        return gpu_health_answers(tmp_path, FakeGpus(BUSY, survey=survey))[1:]

    (apart,) = told(1)
    assert (apart.topic, apart.can) == ("gpu-numa", False)
    assert apart.seen == f"{PCI}: node 1 by the driver, 0 by sysfs"
    assert "--gpu-map" in apart.remedy
    assert told(0) == told(None) == ()
