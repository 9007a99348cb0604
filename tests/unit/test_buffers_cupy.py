"""What is said where no GPU can be used; CuPy itself is asked where it is installed, on a machine without a driver."""

import importlib.util
from pathlib import Path

import pytest

from netprobe.buffers._cupy import SOURCES, kernels_folder, visible_gpus
from netprobe.buffers._cupy_here import refuse_unusable
from netprobe.errors import UnavailableError

GOOD = {"driver": 12080, "built_for": 12090, "count": 8, "visible": None}


def test_a_driver_of_the_same_major_version_serves():
    assert refuse_unusable(**GOOD) == 8


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        ({"driver": 0, "count": 0}, "there is no NVIDIA driver; try: nvidia-smi, or --memory host"),
        (
            {"driver": 11040},
            "the NVIDIA driver goes up to CUDA 11.4, and CuPy is built for 12.9; try: a newer driver, or pip install "
            "cupy-cuda11x",
        ),
        ({"count": 0}, "the NVIDIA driver shows no GPU; try: nvidia-smi, or --memory host"),
        (
            {"count": 0, "visible": ""},
            "CUDA_VISIBLE_DEVICES= leaves no GPU; try: unset CUDA_VISIBLE_DEVICES, or --memory host",
        ),
    ],
)
def test_each_reason_is_one_line_with_a_way_out(odd, says):
    with pytest.raises(UnavailableError) as refused:
        refuse_unusable(**{**GOOD, **odd})

    assert str(refused.value) == says


def test_cupy_on_a_machine_without_a_driver_says_so_in_one_line():
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has a driver")
    problem = "CuPy cannot be loaded" if importlib.util.find_spec("cupy") is None else "there is no NVIDIA driver"

    with pytest.raises(UnavailableError, match=problem) as refused:
        visible_gpus({})

    assert "\n" not in str(refused.value)


def test_the_kernels_are_found_where_netprobe_is():
    assert all((kernels_folder() / source).is_file() for source in SOURCES)
