"""GPUs while a stage runs: what samples come down to, and a driver that does not answer."""

import threading

import pytest
from fake_gpus import BUSY, HOT, IDLE, PCI, WELL, FakeGpus

from netprobe.model.gpu import GpuCondition, GpuLevels, GpuSurvey, Hold, UnreadGpu
from netprobe.session.gpu_watch import NO_ANSWER, GpuWatch

LOST = GpuLevels(silence="the driver says: GPU is lost")


def watch(gpus, **options):
    return GpuWatch(gpus, interval_s=0.001, **options)


def window(gpus):
    """Watch until all answers were given; there is one GPU, so there is one window."""
    watching = watch(gpus)
    watching.begin()
    assert gpus.enough.wait(10)
    (found,) = watching.end("bandwidth", 3)
    return found


def test_a_host_without_gpus_starts_no_thread():
    before = set(threading.enumerate())
    watching = GpuWatch(None)

    watching.begin()

    assert set(threading.enumerate()) <= before
    assert watching.end("latency", 0) == ()


def test_the_end_of_a_stage_is_the_end_of_its_thread():
    before = set(threading.enumerate())

    window(FakeGpus(BUSY))

    assert set(threading.enumerate()) <= before


def test_even_the_shortest_stage_is_looked_at_once():
    watching = watch(FakeGpus(BUSY))
    watching.begin()

    (found,) = watching.end("latency", 0)

    assert found.samples >= 1


def test_samples_are_told_by_stage_and_rank_with_what_the_gpu_is():
    found = window(FakeGpus(BUSY))

    assert (found.stage, found.rank, found.pci, found.name) == ("bandwidth", 3, PCI, "NVIDIA H100 80GB HBM3")
    assert (found.sm_clock_target_mhz, found.slowdown_celsius, found.silence) == (1980, 87, None)
    assert found.samples == found.samples_busy > 0
    assert (found.samples_held, found.holds) == (0, {})


def test_clocks_and_the_bus_are_those_of_busy_samples_and_heat_that_of_all():
    found = window(FakeGpus(IDLE, IDLE, BUSY, IDLE))

    assert found.samples_busy == 1
    assert (found.sm_clock_least_mhz, found.sm_clock_typical_mhz, found.pcie_generation_best) == (1980, 1980.0, 5)
    assert (found.celsius_most, found.power_most_watts) == (60, 600.0)
    assert found.holds[Hold.IDLE] == found.samples - 1


def test_an_idle_gpu_tells_nothing_of_its_clock_and_its_bus():
    found = window(FakeGpus(IDLE))

    assert found.samples_busy == 0
    assert (found.sm_clock_typical_mhz, found.pcie_generation_best, found.pcie_width_least) == (None, None, None)


def test_samples_that_are_held_down_are_counted_by_reason_and_have_a_clock_of_their_own():
    found = window(FakeGpus(BUSY, HOT, HOT, BUSY))

    assert found.samples_held == 2
    assert found.holds == {Hold.HARDWARE: 2, Hold.HARDWARE_THERMAL: 2}
    assert (found.sm_clock_held_mhz, found.sm_clock_least_mhz, found.celsius_most) == (990.0, 990, 88)


def test_a_driver_that_does_not_tell_why_leaves_nobody_busy():
    found = window(FakeGpus(GpuLevels(sm_clock_mhz=1980, pcie_generation=1)))

    assert found.samples > 0
    assert (found.samples_busy, found.pcie_generation_best) == (0, None)


def test_the_worse_of_both_ends_of_a_stage_tells_of_links_and_memory():
    worse = GpuCondition(links=18, links_active=17, remap_pending=True, remap_failed=False)

    found = window(FakeGpus(BUSY, conditions=(WELL, worse)))

    assert (found.links, found.links_active_least, found.remap_pending, found.remap_failed) == (18, 17, True, False)


def test_what_the_driver_does_not_tell_stays_unknown():
    found = window(FakeGpus(BUSY, conditions=(GpuCondition(),)))

    assert (found.links, found.links_active_least, found.remap_pending) == (None, None, None)


def test_a_gpu_that_is_lost_on_the_way_keeps_its_samples_and_is_asked_no_more():
    gpus = FakeGpus(BUSY, BUSY, LOST)

    found = window(gpus)

    assert (found.samples, found.silence) == (2, "the driver says: GPU is lost")
    assert gpus.asked == 3


def test_gpus_that_cannot_be_read_are_told_with_every_stage():
    survey = GpuSurvey(unread=(UnreadGpu(pci=None, reason="nvidia-ml-py is not installed"),))
    watching = watch(FakeGpus(BUSY, survey=survey))

    for stage in ("latency", "bandwidth"):
        watching.begin()
        (found,) = watching.end(stage, 0)
        assert (found.stage, found.pci, found.samples) == (stage, None, 0)
        assert found.silence == "nvidia-ml-py is not installed"


@pytest.mark.parametrize("where", ["survey", "levels", "condition"])
def test_a_driver_that_never_answers_costs_one_wait_and_no_stage(where):
    lets_go = threading.Event()
    gpus = FakeGpus(BUSY)
    answer = getattr(gpus, where)

    def hang(*arguments):
        lets_go.wait(20)
        return answer(*arguments)

    setattr(gpus, where, hang)
    watching = watch(gpus, longest_answer_s=0.01)
    try:
        watching.begin()
        first = watching.end("latency", 0)
        watching.begin()
        second = watching.end("bandwidth", 0)
    finally:
        lets_go.set()

    assert [each.silence for each in first] == [NO_ANSWER]
    assert [(each.stage, each.silence, each.samples) for each in second] == [("bandwidth", NO_ANSWER, 0)]


def test_a_driver_that_answers_again_is_asked_again():
    lets_go = threading.Event()
    gpus = FakeGpus(BUSY)
    answer = gpus.survey

    def hang():
        lets_go.wait(20)
        return answer()

    gpus.survey = hang
    watching = watch(gpus, longest_answer_s=0.01)
    watching.begin()
    watching.end("latency", 0)
    lets_go.set()
    watching._thread.join(10)

    watching.begin()
    watching._longest_answer_s = 10
    (found,) = watching.end("bandwidth", 0)

    assert (found.stage, found.silence) == ("bandwidth", None)
    assert found.samples > 0
