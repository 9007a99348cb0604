"""On the ranks: one transport and one control plane for all tests, and assertions that all ranks make together."""

import pytest

from netprobe.session.control import MpiControl
from netprobe.transports.mpi import MpiTransport, open_mpi


@pytest.fixture(scope="session")
def control():
    mpi = open_mpi()
    return MpiControl(mpi, mpi.COMM_WORLD.Dup())


@pytest.fixture(scope="session")
def transport():
    mpi = open_mpi()
    return MpiTransport(mpi, mpi.COMM_WORLD.Dup())


@pytest.fixture
def together(control):
    """Assert on all ranks or on none: a rank that fails alone leaves the others waiting for ever."""

    def check(holds, message=""):
        results = control.allgather((bool(holds), f"rank {control.rank}: {message}"))
        assert all(ok for ok, _ in results), [text for ok, text in results if not ok]

    return check
