"""Steps of bursts: who is blamed for a stall, when nobody is, and what drifts."""

from dataclasses import replace

import numpy as np
import pytest
from detector_scenario import evidence_in, findings, gaps

from netprobe.detectors.stalled_step import timer_of
from netprobe.detectors.step_drift import growth_of, kendall_tau
from netprobe.model.finding import Severity
from netprobe.model.limits import Limits
from netprobe.plan.profiles import plan_for
from netprobe.registry import detectors

HOSTS = 'hosts = ["node1", "node2", "node3"]\n'


def stalled(stalls, more=""):
    return f"{HOSTS}\n[[steps]]\nms = 60.0\nstalls = [{stalls}]\n{more}"


def test_a_stall_to_which_nobody_came_late_is_the_fabrics_and_names_its_timer():
    rises = 'rises = [{ second = 7, rank = 2, counter = "tcp/RetransSegs", growth = 3, usual = 0.1 }]'

    (finding,) = findings("stalled-step", stalled("{ second = 7, ms = 262.0 }", rises))

    assert finding.subjects == ("fabric",)
    assert finding.hosts == ()
    assert "nobody came late, and it took as long as the shortest retransmission timer of TCP" in finding.summary
    assert "in that second grew tcp/RetransSegs on node3 by 3 (usually 0)" in finding.summary


def test_a_rank_that_loses_its_cpu_inside_the_all_reduce_is_blamed_though_it_entered_in_time():
    (finding,) = findings("stalled-step", stalled("{ second = 7, ms = 360.0, held = 2, held_ms = 299.0 }"))

    assert finding.subjects == ("node3",)
    assert "node3:2 had no CPU for 299 ms inside the all-reduce" in finding.summary


def test_lateness_that_explains_only_a_part_of_a_stall_blames_nobody():
    (finding,) = findings("stalled-step", stalled("{ second = 7, ms = 360.0, late = 1, late_ms = 149.0 }"))

    assert finding.subjects == ("fabric",)


def test_the_moment_of_a_stall_is_told_in_utc_and_by_its_second():
    (finding,) = findings("stalled-step", stalled("{ second = 41, ms = 360.0, late = 1, late_ms = 290.0 }"))

    assert "the worst at 2026-11-18 11:07:21 UTC" in finding.summary
    assert "second 42" in finding.facts[0].metric


def test_a_host_that_stalls_steps_again_and_again_is_to_be_left_out():
    stalls = ", ".join(f"{{ second = {at}, ms = 360.0, late = 1, late_ms = 290.0 }}" for at in (7, 19, 33))

    (finding,) = findings("stalled-step", stalled(stalls))

    assert finding.severity is Severity.DEGRADES
    assert finding.hosts == ("node2",)


def test_on_a_host_whose_ranks_always_wait_for_a_cpu_a_stall_without_waiting_is_still_named():
    busy = '[[counters]]\non = "node2"\ngrown = { "process/run_delay_ns" = 2e8 }\n'
    together = '[[collectives]]\nprobe = "allreduce"\nsize = "8"\nus = 60.0\n'
    stall = "{ second = 7, ms = 360.0, late = 1, late_ms = 290.0, waited_ms = 3.0 }"

    (finding,) = findings("stalled-step", stalled(stall, busy + together))

    assert finding.subjects == ("node2",)
    assert "a core that is shared (it waited for one no longer than usual)" in finding.excluded


def test_where_the_slowest_step_of_every_second_is_as_slow_none_stands_out():
    text = f"{HOSTS}\n[[steps]]\nms = 60.0\nusual_max_ms = 300.0\nstalls = [{{ second = 7, ms = 300.0 }}]\n"

    assert findings("stalled-step", text) == []


def test_lateness_within_the_error_of_clocks_blames_nobody():
    text = "clock_error_us = 100000.0\n" + stalled("{ second = 7, ms = 360.0, late = 1, late_ms = 290.0 }")

    (finding,) = findings("stalled-step", text)

    assert finding.subjects == ("fabric",)


@pytest.mark.parametrize("id", ["stalled-step", "step-drift"])
def test_a_plan_without_bursts_asks_nothing_and_one_whose_bursts_never_ran_is_told_so(id):
    evidence = evidence_in(HOSTS)

    assert list(detectors()[id].detect(evidence, Limits())) == []
    (gap,) = detectors()[id].detect(replace(evidence, plan=plan_for("nightly")), Limits())
    assert "no bursts were measured" in gap.reason


def test_a_few_steps_do_not_tell_which_of_them_is_slow():
    (gap,) = gaps("stalled-step", f"{HOSTS}\n[[steps]]\nseconds = 3\nper_second = 2\n")

    assert "has 6 steps, too few" in gap.reason


def test_steps_that_get_slower_with_nobody_late_are_the_fabrics():
    parts = ", ".join(f"{60 + each}.0" for each in range(12))

    (finding,) = findings("step-drift", f"{HOSTS}\n[[steps]]\nms = 66.0\nparts_ms = [{parts}]\n")

    assert finding.subjects == ("fabric",)
    assert finding.severity is Severity.WARNS
    assert "steps take 9.00 ms longer at the end" in finding.summary


def test_lateness_that_comes_and_goes_is_no_drift():
    assert growth_of(np.array([0.0, 9, 0, 9, 0, 9, 0, 9, 0, 9, 0, 9]) * 1e6) == 0.0
    assert kendall_tau(np.array([1.0, 2, 3, 4])) == 1.0
    assert kendall_tau(np.array([4.0, 3, 2, 1])) == -1.0


@pytest.mark.parametrize(
    ("excess_ms", "says"),
    [(68.0, "timeout 14"), (201.0, "TCP (200 ms)"), (300.0, None), (405.0, "doubled once"), (30.0, None)],
)
def test_a_stall_is_said_to_be_as_long_as_a_timer_only_where_it_is(excess_ms, says):
    told = timer_of(excess_ms * 1e6)

    assert (told is None) if says is None else (says in told)
