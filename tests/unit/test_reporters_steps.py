"""What reports say of bursts: the distribution of steps, and their slowest seconds."""

import json
from dataclasses import replace

import pytest
from sample_reports import report

from netprobe.cli.app import main
from netprobe.contracts import RenderOptions
from netprobe.model.report import SlowStep, StepSpan, StepSummary
from netprobe.registry import reporters

SLOW = SlowStep(
    began="2026-11-28T23:05:30.538Z", round_index=41, elapsed_ns=412_000_000, late="node01:1", late_ns=305_000_000,
    held="node01:1", held_ns=299_000_000,
)  # fmt: skip
STEPS = StepSummary(
    stage="bursts", size_bytes=64 << 20, period_ns=100_000_000, compute_ratio=0.5, is_free_running=False, ranks=128,
    rounds=1200, steps=12_000, mean_ns=61e6, p50_ns=60e6, p99_ns=66e6, p999_ns=None, max_ns=412_000_000,
    slowest=(SLOW, *(replace(SLOW, round_index=number, late_ns=0) for number in range(5))),
    timeline=(StepSpan(round_index=0, rounds=1200, began=SLOW.began, steps=12_000, mean_ns=61e6, max_ns=412_000_000),),
)  # fmt: skip


def rendered(format, options=None):
    return reporters()[format].render(report(("node00", "node01"), steps=(STEPS,)), options or RenderOptions())


def test_a_terminal_of_80_columns_has_the_steps_and_their_slowest_seconds():
    text = rendered("console")

    assert "steps of 128 ranks: 50 % of 100 ms computed, 64 MiB all-reduced, every 100 ms" in text
    assert max(map(len, text.splitlines())) <= 80
    (row,) = [line for line in text.splitlines() if "305 ms" in line]
    assert row.split() == ["23:05:30.538", "42", "412", "ms", "305", "ms", "299", "ms", "node01:1", "node01:1"]
    assert text.count("23:05:30.538") == 3


def test_every_slow_second_is_in_a_verbose_report_and_in_a_ticket():
    assert rendered("console", RenderOptions(verbose=True)).count("23:05:30.538") == 6
    assert rendered("markdown").count("23:05:30.538") == 6


def test_a_percentile_that_is_not_known_is_a_dash():
    (row,) = [line for line in rendered("console").splitlines() if "12,000" in line]

    assert "–" in row


def test_the_line_of_time_is_in_the_json():
    (steps,) = json.loads(rendered("json"))["steps"]

    assert steps["timeline"][0]["steps"] == 12_000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "latency", "--soak", "5s"], "are of bursts"),
        (["run", "bursts", "--duty", "1.5"], "--duty"),
        (["run", "bursts", "--period", "never"], "--period"),
        (["run", "bursts", "--transport", "verbs"], "over MPI alone"),
        (["run", "bursts", "--transport", "nccl"], "does not go over NCCL"),
        (["check", "--period", "50ms"], "how long bursts are to last"),
    ],
)
def test_options_of_bursts_that_mean_nothing_are_one_line_with_exit_code_4(capsys, arguments, told):
    assert main(arguments) == 4

    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.err.count("\n") == 1


def test_what_is_exposed_is_a_time_and_a_share_of_all_time():
    told = replace(STEPS, overlaps=True, exposed_p50_ns=4.2e6, exposed_ratio=0.071)

    text = reporters()["console"].render(report(("node00", "node01"), steps=(told,)), RenderOptions(width=80))

    assert "64 MiB meanwhile, every 100 ms" in text
    assert "4.20 ms 7 %" in text
    assert max(map(len, text.splitlines())) <= 80
