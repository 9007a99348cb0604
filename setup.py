"""Build the one native module; everything else about the package is in pyproject.toml.

kernels/ and reports/ stand beside the package in the repository and inside it once installed
(netprobe.kernels, netprobe.reports), so an installed netprobe needs no checkout.
"""

from pathlib import Path

from setuptools import Extension, find_packages, setup

HOST_KERNELS = Path("kernels/host")

setup(
    packages=[*find_packages(include=["netprobe*"]), "netprobe.kernels", "netprobe.reports"],
    package_dir={"netprobe.kernels": "kernels", "netprobe.reports": "reports"},
    package_data={
        "netprobe": ["py.typed"],
        "netprobe.judge": ["*.toml"],
        "netprobe.kernels": ["README.md", "host/*.c", "host/*.h", "cuda/*.cu", "cuda/*.cuh"],
        "netprobe.reports": ["README.md", "schema/*.json", "samples/*", "html/*"],
    },
    ext_modules=[
        Extension(
            "netprobe._native",
            sources=sorted(str(path) for path in HOST_KERNELS.glob("*.c")),
            depends=sorted(str(path) for path in HOST_KERNELS.glob("*.h")),
            include_dirs=[str(HOST_KERNELS)],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            extra_compile_args=["-O3", "-std=c11", "-Wall", "-Wextra", "-fvisibility=hidden", "-pthread"],
            extra_link_args=["-pthread"],  # before glibc 2.34 threads and semaphores are a library of their own
            py_limited_api=True,
        )
    ],
)
