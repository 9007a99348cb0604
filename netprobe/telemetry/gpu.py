"""What NVIDIA's driver counts of GPUs: ``gpu/0000:18:00.0/NAME``, where NAME is one of model.gpu.GpuCount.

Around stages alone: a question for each NVLink takes too long for every round. Levels, such as clocks and temperatures,
are sampled while stages run (netprobe.session.gpu_watch).
"""

from collections.abc import Mapping

from netprobe.catalogue.keys import GpuKey
from netprobe.contracts import Source, System


def read(system: System) -> Mapping[str, int]:
    """Return the counters of all GPUs; nothing where there is no driver of NVIDIA."""
    if system.gpus is None:
        return {}
    return {
        str(GpuKey(pci=device.pci, name=name)): value
        for device in system.gpus.survey().devices
        for name, value in system.gpus.counters(device.pci).items()
    }


SOURCE = Source(
    id="gpu",
    title="what NVIDIA's driver counts of GPUs",
    is_per_host=True,
    read=read,
    in_rounds=False,
    in_stages=True,
)
