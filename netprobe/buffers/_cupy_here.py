"""CuPy, and which GPUs CUDA lets this process use: opened, and refused, in one place."""

import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from netprobe.errors import UnavailableError

Module = Any  # CuPy has no types
WITHOUT_GPU: Final = (35, 100)  # cudaErrorInsufficientDriver, whose cause the versions tell, and cudaErrorNoDevice


def load_cupy(*parts: str) -> Module:
    """Return CuPy with these modules of it; UnavailableError where it is not there, or does not load."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of every library of CUDA that it does not find
            import cupy

            for part in parts:
                import_module(part)
    except Exception as error:  # CuPy checks more than its import: the versions of NumPy and CUDA, other CuPys
        words = (str(error).strip() or "import failed").splitlines()[0]
        raise UnavailableError(f"CuPy cannot be loaded: {words}", remedy="pip install 'netprobe[gpu]'") from error
    return cupy


def usable_gpus(cupy: Module, environ: Mapping[str, str]) -> int:
    """Return how many GPUs this process may use; UnavailableError says why there is none."""
    runtime = cupy.cuda.runtime
    try:
        return refuse_unusable(
            driver=int(runtime.driverGetVersion()),
            built_for=int(runtime.runtimeGetVersion()),
            count=_count(runtime),
            visible=environ.get("CUDA_VISIBLE_DEVICES"),
        )
    except runtime.CUDARuntimeError as error:
        raise UnavailableError(f"GPUs cannot be listed: {error}", remedy="nvidia-smi") from error


def refuse_unusable(*, driver: int, built_for: int, count: int, visible: str | None) -> int:
    """Return the count of usable GPUs; raise UnavailableError where there is none. Versions as CUDA writes them."""
    if driver == 0:
        raise UnavailableError("there is no NVIDIA driver", remedy="nvidia-smi, or --memory host")
    if driver // 1000 < built_for // 1000:
        raise UnavailableError(
            f"the NVIDIA driver goes up to CUDA {cuda_version(driver)}, and CuPy is built for "
            f"{cuda_version(built_for)}",
            remedy=f"a newer driver, or pip install cupy-cuda{driver // 1000}x",
        )
    if count == 0 and visible is not None:
        raise UnavailableError(
            f"CUDA_VISIBLE_DEVICES={visible} leaves no GPU", remedy="unset CUDA_VISIBLE_DEVICES, or --memory host"
        )
    if count == 0:
        raise UnavailableError("the NVIDIA driver shows no GPU", remedy="nvidia-smi, or --memory host")
    return count


def cuda_version(number: int) -> str:
    """Return ``12.9`` for 12090."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _count(runtime: Any) -> int:  # noqa: ANN401
    try:
        return int(runtime.getDeviceCount())
    except runtime.CUDARuntimeError as error:
        if error.status not in WITHOUT_GPU:
            raise
        return 0
