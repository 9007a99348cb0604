"""``netprobe history``, ``baseline`` and ``compare`` as somebody types them: texts, exit codes, what stays on disk."""

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from history_samples import FACTS, Site, flap
from jsonschema import Draft202012Validator
from store_samples import LAUNCH, plan

from netprobe.cli.app import main
from netprobe.model.run import RunHeader, RunStatus
from netprobe.plan.profiles import plan_for
from netprobe.registry import history_detectors
from netprobe.sim.fabric import default_topology, fabric_of
from netprobe.sim.faults import read_faults
from netprobe.sim.night import night
from netprobe.store.digest import write_digest
from netprobe.store.encoding import json_document
from netprobe.store.whole import write_whole

GOLDEN = Path(__file__).parents[1] / "fixtures" / "history"
FAULTS = Path(__file__).parents[1] / "sim" / "faults"
SCHEMAS = Path(__file__).parents[2] / "reports" / "schema"
UPGRADED = {**FACTS, "NIC firmware": "28.40.1000"}


def write(root, digests):
    for digest in digests:
        (root / digest.run).mkdir(parents=True)
        write_digest(root / digest.run / "digest.parquet", digest)
    return root


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    site = Site(
        factor={
            "node02 mlx5_0": lambda night: 0.9985 ** max(night - 10, 0),
            "node03 mlx5_1": lambda night: 0.93 if night >= 41 else 1.0,
        },
        fleet_factor=lambda night: 0.92 if night >= 50 else 1.0,
        facts_at=lambda night, host: UPGRADED if night >= 50 else FACTS,
        gone={"node08": 48},
        seen={55: [flap("node07 mlx5_1")]},
    )
    return write(tmp_path_factory.mktemp("troubled"), site.digests())


@pytest.fixture
def calm(tmp_path):
    return write(tmp_path / "runs", Site(hosts=4, nics=1, nights=20).digests())


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Two nights of a small fabric as run directories, the second with a slow port."""
    root = tmp_path_factory.mktemp("simulated")
    for seed, names in ((1, ()), (2, ("F06-slow-port.toml",))):
        files = [read_faults(FAULTS / name) for name in names]
        run, _ = night(fabric_of(default_topology(8), 400.0), files, plan_for("quick"), seed)
        started = datetime(2026, 1, seed, 2, tzinfo=UTC)
        header = replace(run.header, id=f"2026-01-0{seed}", started=f"{started:%Y-%m-%dT%H:%M:%S}Z")
        write_whole(replace(run, header=header), root)
    return root


def printed(capsys, *arguments):
    code = main([str(each) for each in arguments])
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return code, told.out, told.err


def golden(name, text):
    if os.environ.get("NETPROBE_UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


def test_the_text_of_a_troubled_history_fits_a_mail(capsys, troubled):
    code, text, _ = printed(capsys, "history", "--runs", troubled)

    assert code == 0
    assert max(len(line) for line in text.splitlines() if "retest:" not in line) <= 80
    golden("troubled.txt", text)


def test_one_host_is_shown_nic_by_nic(capsys, troubled):
    _, text, _ = printed(
        capsys, "history", "--runs", troubled, "--host", "node02", "--metric", "bandwidth", "--since", "30d"
    )

    assert "regression" not in text
    golden("one-host.txt", text)


def test_check_ends_with_the_verdicts_exit_code(capsys, troubled, calm):
    assert printed(capsys, "history", "--runs", troubled, "--check")[0] == 1
    assert printed(capsys, "history", "--runs", calm, "--check")[0] == 0


def test_too_few_nights_are_no_verdict(capsys, tmp_path):
    few = write(tmp_path / "few", Site(hosts=3, nics=1, nights=4).digests())

    code, text, _ = printed(capsys, "history", "--runs", few, "--check")

    assert code == 3
    assert "too few nights: 3 are known" in " ".join(text.split())


@pytest.mark.parametrize("output_format", ["json", "markdown"])
def test_every_reporter_can_show_it(capsys, troubled, output_format):
    _, text, _ = printed(capsys, "history", "--runs", troubled, "--format", output_format)

    assert "node03 mlx5" in text
    assert "missing" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--host", "node99"), "there is no host called 'node99'"),
        (("--metric", "colour"), "nothing called 'colour' was measured"),
        (("--since", "yesterday"), "--since: 'yesterday' is not a duration"),
        (("--profile", "deep"), "no run of profile 'deep'"),
        (("--format", "papyrus"), "papyrus"),
    ],
)
def test_what_is_mistyped_is_one_line(capsys, troubled, arguments, says):
    code, _, error = printed(capsys, "history", "--runs", troubled, *arguments)

    assert code == 4
    assert says in error
    assert error.count("\n") == 1


def test_hostile_names_are_shown_and_not_obeyed(capsys, tmp_path):
    evil = "node\x1b[31m\n01 mlx5_0"
    digests = [
        replace(each, figures=(*each.figures, replace(each.figures[0], subject=evil, host="node\x1b[31m\n01")))
        for each in Site(hosts=3, nics=1, nights=9, seen={8: [flap(evil)]}).digests()
    ]

    _, text, _ = printed(capsys, "history", "--runs", write(tmp_path / "evil", digests), "-v")

    assert "\x1b" not in text
    assert "\\x1b[31m" in text


def test_an_acknowledged_finding_is_closed(capsys, tmp_path):
    runs = write(tmp_path / "runs", Site(hosts=3, nics=1, nights=9, seen={7: [flap("node02 mlx5_0")]}).digests())
    assert "link-flap" in printed(capsys, "history", "--runs", runs)[1]

    code, text, _ = printed(
        capsys, "history", "ack", "link-flap", "node02 mlx5_0", "--runs", runs, "--note", "new optic"
    )

    assert (code, text) == (0, "link-flap of node02 mlx5_0 is closed until it is seen again\n")
    assert "link-flap" not in printed(capsys, "history", "--runs", runs)[1]


def test_a_finding_that_nobody_has_cannot_be_closed(capsys, calm):
    code, _, error = printed(capsys, "history", "ack", "link-flap", "node02", "--runs", calm)

    assert code == 4
    assert "no finding link-flap of 'node02'" in error


def test_baselines_are_set_shown_and_held_against(capsys, troubled, tmp_path):
    runs = write(tmp_path / "runs", Site(hosts=4, nics=1, nights=20).digests())
    assert printed(capsys, "baseline", "set", "good", "2026-01-10", "--runs", runs)[0] == 0

    listed = printed(capsys, "baseline", "show", "--runs", runs)[1]
    same = printed(capsys, "baseline", "diff", "good", "--runs", runs, "--fail-on-regression")

    assert listed.startswith("good  run 2026-01-10T02-00-00Z-0009 · 4 hosts · HEALTHY · profile nightly · set ")
    assert same[0] == 0
    assert "nothing is worse, of 5 compared" in same[1]


def test_a_baseline_is_not_compared_across_an_upgrade(capsys, tmp_path):
    site = Site(
        hosts=4, nics=1, nights=20, fleet_factor=lambda night: 0.9 if night >= 15 else 1.0,
        facts_at=lambda night, host: UPGRADED if night >= 15 and host != "node04" else FACTS,
    )  # fmt: skip
    runs = write(tmp_path / "runs", site.digests())
    printed(capsys, "baseline", "set", "good", "2026-01-10", "--runs", runs)

    code, text, _ = printed(capsys, "baseline", "diff", "good", "--runs", runs, "--fail-on-regression")

    assert code == 1
    assert "not compared: node[01-03], NIC firmware: 28.39.1002 → 28.40.1000" in text
    assert "1 figure worse, of 1 compared" in text
    assert "node04 mlx5_0" in text


def test_a_run_with_findings_is_no_baseline_unless_forced(capsys, tmp_path):
    runs = write(tmp_path / "runs", Site(hosts=3, nics=1, nights=3, seen={2: [flap("node02 mlx5_0")]}).digests())

    code, _, error = printed(capsys, "baseline", "set", "odd", "--runs", runs)

    assert code == 4
    assert "is DEGRADED" in error
    assert printed(capsys, "baseline", "set", "odd", "--force", "--runs", runs)[0] == 0


def test_without_a_baseline_that_is_said(capsys, calm):
    assert "there is no baseline in" in printed(capsys, "baseline", "show", "--runs", calm)[1]
    code, _, error = printed(capsys, "baseline", "diff", "good", "--runs", calm)
    assert code == 4
    assert "no baseline called 'good'" in error


def whole_runs(root, digests):
    """Write runs with the files that a pruning removes."""
    write(root, digests)
    for digest in digests:
        for name in ("run.json", "series.parquet", "events.jsonl", "report.json"):
            (root / digest.run / name).write_text("{}")
    return root


def files_of(root, digest):
    return {each.name for each in (root / digest.run).iterdir()} if (root / digest.run).is_dir() else None


@pytest.fixture
def old(tmp_path):
    """Twenty nights, the last one an hour ago, with a flap four nights ago."""
    site = Site(hosts=3, nics=1, nights=20, seen={15: [flap("node02 mlx5_0")]})
    shift = datetime.now(UTC) - timedelta(hours=1) - site.night(19).started
    digests = [replace(each, started=each.started + shift) for each in site.digests()]
    return whole_runs(tmp_path / "runs", digests), digests


def test_pruning_says_first_what_would_go(capsys, old):
    root, digests = old

    code, text, _ = printed(capsys, "history", "prune", "--keep", "3d", "--runs", root)

    assert code == 0
    assert text.startswith("would remove 16 runs but their digests and reports: ")
    assert "nothing was removed yet; --yes does it" in text
    assert files_of(root, digests[0]) == {"digest.parquet", "run.json", "series.parquet", "events.jsonl", "report.json"}


def test_pruning_keeps_what_history_needs(capsys, old):
    root, digests = old
    before = printed(capsys, "history", "--runs", root)[1]
    printed(capsys, "baseline", "set", "good", digests[2].run, "--runs", root)

    printed(capsys, "history", "prune", "--keep", "3d", "--yes", "--runs", root)

    whole = {"digest.parquet", "run.json", "series.parquet", "events.jsonl", "report.json"}
    assert files_of(root, digests[0]) == {"digest.parquet", "report.json"}
    assert [files_of(root, digests[at]) for at in (2, 15, 18, 19)] == [whole] * 4
    assert printed(capsys, "history", "--runs", root)[1] == before
    assert "removed 0 runs" in printed(capsys, "history", "prune", "--keep", "3d", "--yes", "--runs", root)[1]


def test_what_a_killed_run_left_behind_goes_as_a_whole(capsys, old):
    root, digests = old
    header = RunHeader(
        format=1, id="killed", netprobe="1", started="2020-01-01T02:00:00Z", status=RunStatus.RUNNING, plan=plan(),
        launch=LAUNCH,
    )  # fmt: skip
    (root / "killed").mkdir()
    (root / "killed" / "run.json").write_bytes(json_document(replace(header, plan=replace(plan(), profile="nightly"))))

    printed(capsys, "history", "prune", "--keep", "30d", "--yes", "--runs", root)

    assert not (root / "killed").exists()
    assert all(files_of(root, digest) for digest in digests)


def test_pruning_as_a_whole_forgets_nights_but_no_baseline_and_no_open_finding(capsys, old):
    root, digests = old
    printed(capsys, "baseline", "set", "good", digests[2].run, "--runs", root)
    (root / digests[1].run / "notes.txt").write_text("somebody's own")

    printed(capsys, "history", "prune", "--keep", "3d", "--whole", "--yes", "--runs", root)

    assert files_of(root, digests[0]) is None
    assert files_of(root, digests[1]) == {"notes.txt"}
    assert all("digest.parquet" in files_of(root, digests[at]) for at in (2, 15, 18, 19))
    assert printed(capsys, "baseline", "diff", "good", "--runs", root)[0] == 0
    assert "link-flap" in printed(capsys, "history", "--runs", root)[1]


def test_a_folder_named_before_the_command_is_not_taken_for_another(capsys, old):
    root, digests = old

    code, _, error = printed(capsys, "history", "--runs", root, "prune", "--keep", "3d", "--yes")

    assert code == 4
    assert "--runs stands before prune" in error
    assert "run.json" in files_of(root, digests[0])


def test_pruning_the_last_day_is_refused(capsys, calm):
    code, _, error = printed(capsys, "history", "prune", "--keep", "1h", "--yes", "--runs", calm)

    assert code == 4
    assert "may still be going on" in error


def test_simulated_runs_become_a_history_and_name_the_slow_port(capsys, simulated):
    code, text, _ = printed(capsys, "history", "--runs", simulated, "--check")

    assert code == 2
    assert {path.name for path in simulated.glob("*/digest.parquet")} == {"digest.parquet"}
    slow = re.search(r"recurring  (node\d+) mlx5_0", text)[1]
    assert f"{slow}: NIC rate: 400 Gb/s →" in text
    assert "all together" in text


def test_two_simulated_runs_differ_in_the_slow_port_and_in_nothing_else(capsys, simulated):
    slow = re.search(r"recurring  (node\d+)", printed(capsys, "history", "--runs", simulated)[1])[1]

    code, text, _ = printed(capsys, "compare", "2026-01-01", "2026-01-02", "--runs", simulated, "--fail-on-regression")

    assert code == 1
    assert f"differs {slow}: NIC rate:" in text
    apart = text.split("apart from what all did")[1].split("\n\n")[0]
    assert set(re.findall(r"node\d+", apart)) == {slow}
    assert max(map(len, text.splitlines())) <= 80


def test_a_comparison_for_programs_holds_what_is_printed_and_fits_its_schema(capsys, simulated):
    slow = re.search(r"recurring  (node\d+)", printed(capsys, "history", "--runs", simulated)[1])[1]

    code, text, _ = printed(
        capsys, "compare", "2026-01-01", "2026-01-02", "--runs", simulated, "--format", "json", "--fail-on-regression"
    )

    told = json.loads(text)
    schema = json.loads((SCHEMAS / "comparison-1.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(told)
    assert code == 1
    assert told["worse"] > 0
    assert {each["subject"].split()[0] for each in told["single"]} == {slow}
    assert [each["hosts"] for each in told["facts"] if "NIC rate" in each["what"]] == [[slow]]
    assert (told["before"]["run_id"], told["after"]["run_id"]) == ("2026-01-01", "2026-01-02")


def test_a_comparison_in_a_format_that_does_not_exist_is_refused(capsys, simulated):
    code, text, error = printed(capsys, "compare", "2026-01-01", "2026-01-02", "--runs", simulated, "--format", "yaml")

    assert (code, text) == (4, "")
    assert "console or json" in error


@pytest.mark.parametrize("format", ["jsonl", "junit", "sarif", "prometheus", "hosts-slurm", "drain", "osu", "perftest"])
def test_a_history_is_written_in_the_formats_of_reports(capsys, simulated, format):
    code, text, _ = printed(capsys, "history", "--runs", simulated, "--format", format)

    assert code == 0
    assert text.endswith("\n")


def test_a_run_does_not_differ_from_itself(capsys, simulated):
    run = simulated / "2026-01-01"

    code, text, _ = printed(capsys, "compare", run, run, "--fail-on-regression")

    assert code == 0
    assert text.startswith("no significant change")


@pytest.mark.parametrize(
    ("name", "says"), [("2026-01-0", "is the beginning of 2 runs"), ("1999", "no run in"), (".", "has no run.json")]
)
def test_a_run_that_is_not_there_is_said_to_be_missing(capsys, simulated, name, says):
    code, _, error = printed(capsys, "compare", name, "2026-01-02", "--runs", simulated)

    assert code == 4
    assert says in error


def test_a_run_that_was_cut_short_is_no_baseline(capsys, tmp_path):
    site = Site(hosts=3, nics=1, nights=3, status={1: RunStatus.INTERRUPTED})
    runs = write(tmp_path / "runs", site.digests())

    code, _, error = printed(capsys, "baseline", "set", "odd", "2026-01-02", "--runs", runs)

    assert code == 4
    assert "did not end as planned" in error


@pytest.mark.parametrize("id", sorted(history_detectors()))
def test_its_detectors_are_explained(capsys, id):
    code, text, _ = printed(capsys, "explain", id)

    assert code == 0
    assert text.startswith(f"{id}: ")
    assert max(map(len, text.splitlines())) <= 80
