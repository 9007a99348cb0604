"""Hostfiles of healthy hosts, and the script that prints how the others are drained."""

import os
import shlex
import shutil
import subprocess
from dataclasses import replace

import pytest
from ClusterShell.NodeSet import NodeSet
from hypothesis import given
from hypothesis import strategies as st
from sample_reports import SAMPLES, nodes, report

from netprobe.contracts import RenderOptions
from netprobe.errors import PlanError
from netprobe.launch.hosts import HostSlots, parse_hostfile
from netprobe.model.finding import Confidence, Finding, Severity
from netprobe.model.verdict import Verdict
from netprobe.registry import reporters
from netprobe.reporters.drain import LONGEST_REASON

HOSTILE = (
    "$(touch pwned)", "`touch pwned`", "a;touch pwned", "a\ntouch pwned", "--all", "-x", "a b", "node[1-9]", "a,b",
    "ALL", "\nEND_OF_COMMANDS", "a'b", 'a"b', "a\\", "\x1b[31m", "‮", "a#b", "a=b", "", "../x",
)  # fmt: skip


def written(format, of_report):
    return reporters()[format].render(of_report, RenderOptions())


def blocks(*hosts, summary="sends slowly", severity=Severity.BLOCKS, victims=()):
    return Finding(
        detector="slow-link",
        severity=severity,
        confidence=Confidence.HIGH,
        subjects=hosts,
        hosts=hosts,
        summary=summary,
        victims=victims,
    )


FOUR = nodes(1, 2, 3, 4)


def faulty(*findings, hosts=FOUR, untested=()):
    left_out = {*untested, *(host for each in findings for host in (*each.hosts, *each.victims))}
    healthy = tuple(host for host in hosts if host not in left_out)
    return report(hosts, verdict=Verdict.FAULTY, findings=findings, healthy_hosts=healthy)


def printed(script, tmp_path, *which):
    """Return what the script prints, run where its commands would leave traces."""
    (tmp_path / "bin").mkdir()
    for name in ("scontrol", "kubectl", "touch"):
        stub = tmp_path / "bin" / name
        stub.write_text(f"#!/bin/sh\n: > '{tmp_path}/ran'\n")
        stub.chmod(0o755)
    (tmp_path / "drain.sh").write_text(script)
    done = subprocess.run(
        ["sh", "drain.sh", *which],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not (tmp_path / "ran").exists()
    return done.stdout


def commands(text):
    return [shlex.split(line) for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("format", ["hosts", "hosts-mpich", "hosts-openmpi"])
def test_hostfiles_are_read_back(format):
    text = written(format, SAMPLES["corruption"]())

    slots = None if format == "hosts" else 2
    expected = tuple(HostSlots(host=host, slots=slots) for host in SAMPLES["corruption"]().healthy_hosts)
    assert parse_hostfile(text, "ours") == expected


def test_slurms_list_is_one_folded_line():
    assert written("hosts-slurm", SAMPLES["slow-link"]()) == "node[01-16,18-64]\n"


def test_ranges_within_names_are_left_to_the_last_number():
    racks = tuple(f"rack{rack}node{node}" for rack in (1, 2) for node in (1, 2))

    text = written("hosts-slurm", report(racks))

    assert text == "rack1node[1-2],rack2node[1-2]\n"


def test_no_healthy_host_is_no_list_that_a_launcher_would_take_for_any():
    none = replace(SAMPLES["inconclusive"]())

    assert written("hosts-slurm", none) == "(none)\n"
    with pytest.raises(PlanError, match="names no host"):
        parse_hostfile(written("hosts", none), "ours")


def test_hosts_that_are_neither_healthy_nor_blamed_are_in_comments():
    of_report = faulty(
        blocks("node01", victims=("node02",)), blocks("node03", severity=Severity.WARNS), untested=("node04",)
    )

    for format, mark in (("hosts", "# "), ("drain", "# not drained: ")):
        text = written(format, of_report)
        assert f"{mark}victims of others' faults: node02\n" in text
        assert f"{mark}to be left out, though nothing blocks: node03\n" in text
        assert f"{mark}not tested, or without a verdict: neither healthy nor to blame: node04\n" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_no_hosts_is_in_no_list(name):
    of_report = report((name, "node01"))

    assert [each.host for each in parse_hostfile(written("hosts", of_report), "ours")] == ["node01"]
    assert written("hosts-slurm", of_report) == "node01\n"


def test_running_the_script_prints_commands_and_runs_none(tmp_path):
    text = printed(written("drain", faulty(blocks("node02"))), tmp_path)

    assert commands(text) == [
        ["scontrol", "update", "nodename=node02", "state=drain",
         "reason=netprobe: slow-link: sends slowly (confidence high, run 2026-11-23T02-00-00Z-7f3a)"],
        ["kubectl", "cordon", "node02"],
        ["kubectl", "taint", "nodes", "node02", "netprobe=slow-link:NoSchedule", "--overwrite"],
    ]  # fmt: skip


@pytest.mark.parametrize(("which", "programs"), [("slurm", {"scontrol"}), ("kubernetes", {"kubectl"})])
def test_one_kind_of_commands_can_be_asked_for(tmp_path, which, programs):
    text = printed(written("drain", faulty(blocks("node02"))), tmp_path, which)

    assert {words[0] for words in commands(text)} == programs


def test_only_hosts_that_blocking_findings_blame_are_drained(tmp_path):
    of_report = faulty(
        blocks("node01", victims=("node02",)), blocks("node03", severity=Severity.DEGRADES), untested=("node04",)
    )

    text = printed(written("drain", of_report), tmp_path, "slurm")

    assert [words[2] for words in commands(text)] == ["nodename=node01"]


def test_a_clean_run_drains_nobody(tmp_path):
    assert commands(printed(written("drain", report(nodes(1, 2))), tmp_path)) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_in_no_command(tmp_path, name):
    text = printed(written("drain", faulty(blocks(name), hosts=(name, "node01"))), tmp_path)

    assert commands(text) == []


@pytest.mark.parametrize("summary", HOSTILE)
def test_a_hostile_reason_stays_one_word(tmp_path, summary):
    text = printed(written("drain", faulty(blocks("node02", summary=summary))), tmp_path, "slurm")

    [words] = commands(text)
    assert len(words) == 5
    assert words[4].startswith("reason=netprobe: slow-link: ")


def test_what_is_printed_runs_as_it_was_meant(tmp_path):
    script = written("drain", faulty(blocks("node02", summary="$(touch pwned) `x` 'y' \"z\"")))
    text = printed(script, tmp_path, "slurm")
    (tmp_path / "bin" / "scontrol").write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{tmp_path}/words'\n")

    shell = shutil.which("sh")
    subprocess.run([shell], input=text, text=True, cwd=tmp_path, env={"PATH": f"{tmp_path}/bin"}, check=True)

    assert (tmp_path / "words").read_text().splitlines() == shlex.split(text.splitlines()[1])[1:]
    assert not (tmp_path / "pwned").exists()


def test_a_long_reason_is_cut_and_still_says_which_run():
    text = written("drain", faulty(blocks("node02", summary="slow " * 100)))

    reason = next(words[4] for words in commands(text) if words[:1] == ["scontrol"])
    assert len(reason) == LONGEST_REASON + len("reason=")
    assert reason.endswith("… (confidence high, run 2026-11-23T02-00-00Z-7f3a)")


def test_a_word_that_the_script_does_not_know_is_refused(tmp_path):
    script = tmp_path / "drain.sh"
    script.write_text(written("drain", report(nodes(1))))

    done = subprocess.run(["sh", str(script), "lsf"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert "usage:" in done.stderr


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_script_is_clean(tmp_path, sample, need):
    script = tmp_path / "drain.sh"
    script.write_text(written("drain", SAMPLES[sample]()))
    shellcheck = shutil.which("shellcheck")
    need("shellcheck", shellcheck is not None, "it comes with the extra dev")

    done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True, check=False)

    assert done.stdout == ""
    assert done.returncode == 0


@given(hosts=st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,5}[0-9]{1,3}", fullmatch=True), unique=True, max_size=20))
def test_every_healthy_host_is_in_every_list_once(hosts):
    of_report = report(tuple(hosts))

    folded = written("hosts-slurm", of_report).strip()
    assert (set() if folded == "(none)" else set(NodeSet(folded))) == set(hosts)
    lines = [line for line in written("hosts", of_report).splitlines() if not line.startswith("#")]
    assert lines == hosts
