"""One boot of the soft-RoCE lab for all tests: each scenario in guest/ runs in it, and tests look at what it left."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest
from netlab.errors import LabError
from rdmalab.machine import require

RDMA_LAB = str(Path(__file__).parents[2] / "scripts/rdma-lab")
GUEST = Path(__file__).parent / "guest"
LIMIT_S = 2400
"""For all scenarios together; the driver limits each. A busy machine takes three times as long as an idle one."""
BOOTS_S = 900
"""For three boots and the fetching of a kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What one executable of guest/ left: its exit code, what it printed, and the files that it wrote."""

    folder: Path

    @property
    def code(self) -> int:
        return int((self.folder / "rc").read_text())

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()

    def numbers(self, name: str) -> dict[str, int]:
        """Return a file of NAME:NUMBER lines."""
        pairs = (line.rpartition(":") for line in self.text(name).splitlines())
        return {key: int(value) for key, _, value in pairs}


def why_no_lab() -> str | None:
    """Return why this machine cannot hold the lab; None when it can."""
    try:
        require()
    except LabError as error:
        return str(error)
    missing = [tool for tool in ("ib_send_bw", "nft") if which(tool) is None]
    return f"{missing[0]} is missing; try: apt-get install perftest nftables" if missing else None


@pytest.fixture(scope="session")
def possible(need):
    """Skip, or fail where NETPROBE_REQUIRE names it, when there can be no lab."""
    reason = why_no_lab()
    need("rdma-lab", reason is None, reason or "")


@pytest.fixture(scope="session")
def guest_results(possible, tmp_path_factory):
    """Return what a scenario left, by its name, which has to have succeeded."""
    out = tmp_path_factory.mktemp("rdma") / "job"
    settings = [f"PYTHON={sys.executable}", f"SCRIPTS={Path(sys.prefix) / 'bin'}", f"PYTHONPATH={Path.cwd()}"]
    settings.append(f"NETPROBE_MATRIX={os.environ.get('NETPROBE_MATRIX', '')}")
    argv = [RDMA_LAB, "run", "--out", str(out), "--timeout", str(LIMIT_S), "--", "env", *settings, str(GUEST / "run")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S + BOOTS_S)
    print(done.stderr, file=sys.stderr)
    if done.returncode != 0:
        pytest.fail(f"rdma-lab: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")

    def of(name: str) -> Scenario:
        scenario = Scenario(folder=out / name)
        assert scenario.code == 0, scenario.output
        return scenario

    return of


@pytest.fixture
def rdma_lab(possible):
    """Run rdma-lab to its end."""

    def run(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        argv = [RDMA_LAB, *words]
        return subprocess.run(
            argv, capture_output=True, text=True, env={**os.environ, **environ}, timeout=BOOTS_S, check=False
        )

    return run
