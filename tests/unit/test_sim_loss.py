"""What loss costs: the figures of the field for go-back-N at 400 Gb/s, and counts that add up."""

import numpy as np
import pytest

from netprobe.sim.loss import drawn_losses, goodput_ratio


@pytest.mark.parametrize(
    ("loss", "least", "most"), [(1e-6, 0.9995, 1.0), (1e-4, 0.985, 0.99), (1e-3, 0.80, 0.90), (1e-2, 0.40, 0.55)]
)
def test_go_back_n_loses_what_the_field_reports(loss, least, most):
    assert least <= goodput_ratio(np.array([loss]), np.array([400.0]))[0] <= most


def test_selective_repeat_loses_little_more_than_what_was_lost():
    assert goodput_ratio(np.array([1e-2]), np.array([400.0]), selective=True)[0] > 0.96


def test_without_loss_nothing_is_lost():
    assert goodput_ratio(np.zeros(1), np.array([400.0]))[0] == 1.0


def test_the_last_packet_of_a_message_waits_for_the_timer_and_no_other_does():
    random = np.random.default_rng(1)
    packets, messages = np.array([10**8]), np.array([10**6])

    losses = drawn_losses(random, packets, messages, np.array([1e-3]), np.zeros(1))

    assert losses.noticed[0] == pytest.approx(99_000, rel=0.02)
    assert losses.tails[0] == pytest.approx(1_000, rel=0.2)
    assert losses.timeouts[0] == losses.tails[0]
