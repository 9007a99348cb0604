"""What the doctor says of NVIDIA's driver: which GPUs it shows, or why their health cannot be read."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from netprobe.cli.answers import Answer
from netprobe.contracts import GpuSystem
from netprobe.model.gpu import GpuSurvey, UnreadGpu
from netprobe.system.files import count_in
from netprobe.system.nvml import nvml_here

TOPIC = "gpu-health"
PCI_DEVICES: Final = "sys/bus/pci/devices"


def gpu_health_answers(root: Path, gpus: GpuSystem | None = None) -> tuple[Answer, ...]:
    """Return what is to be said of the health of GPUs; nothing where there is no driver of NVIDIA."""
    here = gpus or nvml_here(root)
    if here is None:
        return ()
    survey = here.survey()
    return (_answer(survey), *_apart(root, survey))


def _apart(root: Path, survey: GpuSurvey) -> Iterator[Answer]:
    """Say where the driver and sysfs, by which ranks are given their NICs, see a GPU at different NUMA nodes."""
    told = [
        (each.pci, each.numa_node, count_in(root / PCI_DEVICES / each.pci / "numa_node")) for each in survey.devices
    ]
    differ = [
        f"{pci}: node {by_driver} by the driver, {by_sysfs} by sysfs"
        for pci, by_driver, by_sysfs in told
        if by_driver is not None and by_sysfs is not None and by_driver != by_sysfs
    ]
    if differ:
        remedy = "--gpu-map, for NICs are chosen by sysfs; in a virtual machine neither may be true"
        yield Answer(topic="gpu-numa", can=False, seen="; ".join(differ), remedy=remedy)


def _answer(survey: GpuSurvey) -> Answer:
    """Say how many GPUs of which kind can be read, and which cannot."""
    kinds = Counter(device.name or "of a kind that is not known" for device in survey.devices)
    found = ", ".join(f"{count} {name}" for name, count in kinds.items())
    driver = f"driver {survey.driver or 'of an unknown version'}: " if survey.devices else ""
    unread = "; ".join(_unread(each) for each in survey.unread)
    seen = f"{driver}{found}" if found else "no GPU can be read"
    return Answer(topic=TOPIC, can=not survey.unread, seen=f"{seen}; {unread}" if unread else seen)


def _unread(unread: UnreadGpu) -> str:
    return unread.reason if unread.pci is None else f"{unread.pci}: {unread.reason}"
