"""The README says what the program does: its tables are compared with the code."""

import re
from pathlib import Path

from netprobe.contracts import RenderOptions
from netprobe.judge.judge import judge
from netprobe.judge.limits import load_limits
from netprobe.model.limits import Limits
from netprobe.model.verdict import ExitCode, Verdict
from netprobe.plan.profiles import PROFILES
from netprobe.registry import detectors, reporters
from netprobe.sim.screening import Screening, SlowHost, screening_run

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def table_after(heading):
    section = README.split(heading, 1)[1]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    end = next((index for index, line in enumerate(section.splitlines()) if line.startswith("#")), None)
    if end is not None:
        rows = [line for line in section.splitlines()[:end] if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_the_exit_code_table_is_the_programs():
    told = {int(code): verdict for code, verdict, _ in table_after("### Exit codes")}

    assert set(told) == {int(code) for code in ExitCode}
    assert {code: name for code, name in told.items() if name != "–"} == {int(v.exit_code): v.value for v in Verdict}


def test_the_detector_table_lists_all_detectors_with_their_titles():
    assert dict(table_after("## What it finds today")) == {each.id: each.title for each in detectors().values()}


def test_the_profile_table_lists_all_profiles():
    assert [name for name, _ in table_after("### Profiles")] == list(PROFILES)


def test_every_command_in_the_readme_exists():
    from netprobe.cli.app import app

    commands = {command.callback.__name__ for command in app.registered_commands}
    commands |= {group.typer_instance.info.name for group in app.registered_groups}
    shown = set(re.findall(r"^(?:mpirun .*? )?netprobe (\w+)", README, re.MULTILINE))

    assert shown
    assert shown <= commands


def test_the_report_shown_is_what_the_program_says_of_a_simulated_fabric_with_one_slow_sender():
    shown = re.search(r"```text\n(.*?)\n```", README, re.DOTALL)[1]
    fabric = Screening(hosts=64, seed=1, slow_hosts=(SlowHost(host=16, sends_ratio=0.37),))

    report = reporters()["console"].render(judge(screening_run(fabric), Limits()), RenderOptions())

    assert report.startswith(shown)


def test_the_limits_shown_can_be_loaded(tmp_path):
    site = tmp_path / "site.toml"
    site.write_text(re.search(r"```toml\n(.*?)```", README, re.DOTALL)[1])

    assert load_limits(site).expected_bandwidth_gbps == 380


def test_the_readme_stays_readable():
    assert len(README.splitlines()) <= 250
