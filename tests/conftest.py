"""What every test may use: loud skips that NETPROBE_REQUIRE turns into failures."""

import os
from collections.abc import Callable

import pytest

Need = Callable[[str, bool, str], None]


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
