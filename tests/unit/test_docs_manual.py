"""netprobe(1) has every command and option, groff has nothing to say against it, and completion knows the commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from docpages.manual import commands_of, manual, plain

from netprobe.cli.app import app

ROOT = Path(__file__).parents[2]
GROUP = typer.main.get_command(app)


def test_every_command_and_option_is_on_the_page():
    page = manual().replace("\\-", "-")
    commands = list(commands_of(GROUP))

    assert {("netprobe", "nightly"), ("netprobe", "history", "ack")} <= {path for path, _ in commands}
    for path, command in commands:
        section = page.partition(f".SS {' '.join(path)} ")[2].partition(".SS ")[0]
        for option in (name for each in command.params if not getattr(each, "hidden", False) for name in each.opts):
            assert option in section or not option.startswith("-")


def test_groff_formats_it_without_a_warning(need):
    need("groff", shutil.which("groff") is not None, "apt install groff-base")
    format = ["groff", "-man", "-Tutf8", "-ww", "-K", "utf8"]

    told = subprocess.run(format, input=manual(), capture_output=True, text=True)

    assert told.stderr == ""
    assert "NETPROBE(1)" in told.stdout


@pytest.mark.parametrize(("text", "written"), [(".PP", "\\&.PP"), ("'x", "\\&'x"), ("a\\fB", "a\\efB"), ("-n", "\\-n")])
def test_troff_reads_nothing_in_a_text(text, written):
    assert plain(text) == written


def test_the_script_writes_it(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "scripts" / "docs", "man", "--out", tmp_path], capture_output=True)

    assert done.returncode == 0
    assert (tmp_path / "netprobe.1").read_text(encoding="utf-8") == manual()


def test_the_shell_completes_commands():
    asked = {**os.environ, "_NETPROBE_COMPLETE": "complete_bash", "COMP_WORDS": "netprobe nigh", "COMP_CWORD": "1"}

    code = "import sys; sys.argv[0] = 'netprobe'; from netprobe.__main__ import main; raise SystemExit(main())"
    done = subprocess.run([sys.executable, "-c", code], env=asked, capture_output=True, text=True)

    assert done.stdout.split() == ["nightly"]
