"""The wheel in an empty environment: what a user gets, away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEADLINE_S = 600  # building and installing over a slow registry

pytestmark = pytest.mark.wheel


def run(*command, cwd, **environment):
    ended = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert ended.returncode == 0, f"{command}: {ended.stdout[-3000:]}{ended.stderr[-3000:]}"
    return ended.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT), cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """An environment with nothing but the wheel and its mpi extra; returns its python and an empty folder to run in."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", str(folder / "venv"), cwd=folder)
    python = str(folder / "venv/bin/python")
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[mpi]", cwd=folder)
    return python, folder


def test_one_wheel_serves_every_python_from_3_11_on(wheel):
    assert "-cp311-abi3-" in wheel.name


def test_the_wheel_brings_kernels_schemas_samples_expectations_and_the_page(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())

    assert any(name.startswith("netprobe/_native") and name.endswith(".so") for name in names)
    assert any(name.startswith("netprobe/kernels/host/") and name.endswith(".c") for name in names)
    assert {"netprobe/reports/schema/run-1.json", "netprobe/reports/schema/report-1.json"} <= names
    assert "netprobe/judge/expectations.toml" in names
    assert {f"netprobe/reports/html/report.{kind}" for kind in ("html.j2", "css", "js")} <= names
    assert {f"netprobe/reports/html/{name}.html.j2" for name in ("page", "parts", "history")} <= names
    assert not any(name.startswith(("tests/", "scripts/", "kernels/", "reports/")) for name in names)


def test_the_installed_program_measures_and_judges(installed):
    python, folder = installed

    ended = subprocess.run(
        [python, "-m", "netprobe", "check", "--format", "json", "--out", str(folder / "runs")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    assert '"format": 1' in ended.stdout
    assert (folder / "venv/bin/netprobe").exists()


def test_the_installed_package_is_not_the_checkout(installed):
    python, folder = installed

    where = run(
        python, "-c", "import netprobe, netprobe._native as n; print(netprobe.__file__, n.__file__)", cwd=folder
    )

    assert str(ROOT) not in where
    assert "abi3" in where
