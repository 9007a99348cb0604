"""What failures of verbs mean."""

import pytest

from netprobe.catalogue.completions import CALLS, RETRIES, STATUSES, UNKNOWN, reading_of, vendor_words
from netprobe.model.rdma import Breakdown, FailurePhase


def breakdown(**changes):
    return Breakdown(**{"rank": 0, "phase": FailurePhase.FIRST_MESSAGE, "call": "ibv_poll_cq", **changes})


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_is_translated_whenever_it_comes(status):
    assert reading_of(breakdown(status=status)) is STATUSES[status]


def test_the_same_status_means_something_else_once_it_has_worked():
    first, later = (reading_of(breakdown(status="RETRY_EXC_ERR", phase=each)) for each in RETRIES)

    assert (first.meaning, later.meaning) == ("no acknowledgement ever came", "acknowledgements stopped coming")


@pytest.mark.parametrize("error", CALLS)
def test_what_the_system_said_is_translated(error):
    assert reading_of(breakdown(call="ibv_modify_qp to RTR", error=error)) is CALLS[error]


def test_silence_is_told_from_what_nobody_knows():
    assert "nothing was completed" in reading_of(breakdown(waited_ns=9)).meaning
    assert reading_of(breakdown(status="NEW_ERR")) is UNKNOWN


@pytest.mark.parametrize("reading", [*STATUSES.values(), *CALLS.values(), *RETRIES.values()])
def test_every_translation_says_what_why_and_what_to_check(reading):
    assert all(len(text) > 10 and not text.endswith(".") for text in (reading.meaning, reading.causes, reading.check))


def test_a_code_is_put_into_words_by_the_driver_that_gave_it():
    assert vendor_words("mlx5_core", 129) == "vendor error 0x81 (no acknowledgement)"
    assert vendor_words("efa", 13) == "vendor error 0xd (the other end does not respond)"
    assert vendor_words(None, 129) == "vendor error 0x81"
    assert vendor_words("mlx5_core", None) == vendor_words("mlx5_core", 0) == ""
