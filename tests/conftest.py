"""What every test may use: loud skips that NETPROBE_REQUIRE turns into failures."""

import os
import signal
from collections.abc import Callable

import pytest
from hypothesis import settings

# A shared, noisy machine makes any example slow once in a while; how long one takes says nothing about the code.
settings.register_profile("netprobe", deadline=None)
settings.load_profile("netprobe")

Need = Callable[[str, bool, str], None]


def pytest_configure() -> None:
    """Heed signals that whoever started the tests ignores, as shells do for jobs in the background.

    netprobe and its ranks would inherit that, and the tests that interrupt them would wait for ever.
    """
    defaults = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    for number, handler in defaults.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def need() -> Need:
    """Skip loudly when something is missing; fail when NETPROBE_REQUIRE names it."""
    required = {name for name in os.environ.get("NETPROBE_REQUIRE", "").split(",") if name}

    def check(what: str, is_there: bool, reason: str) -> None:
        if is_there:
            return
        if what in required:
            pytest.fail(f"{what} is required (NETPROBE_REQUIRE) and missing: {reason}")
        pytest.skip(f"{what} is missing: {reason}")

    return check
