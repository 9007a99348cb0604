"""Manual pages: one for each command, with all of its options, and nothing that man complains of."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from docpages.manpages import _line, man_pages
from hypothesis import given
from hypothesis import strategies as st

from netprobe.cli.app import app

SCRIPT = Path(__file__).parents[2] / "scripts" / "docs"
PAGES = man_pages()


def test_every_command_has_a_page_and_netprobe_lists_it():
    commands = typer.main.get_command(app).commands

    assert {f"netprobe-{name}.1" for name in commands} <= set(PAGES)
    assert {"netprobe.1", "netprobe-history-ack.1", "netprobe-baseline-set.1"} <= set(PAGES)
    assert all(f"\\fBnetprobe\\-{name}\\fR(1)" in PAGES["netprobe.1"] for name in commands)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_has_every_option_that_help_has(name, capsys):
    words = name.removesuffix(".1").split("-")[1:]

    with pytest.raises(SystemExit):
        app(args=[*words, "--help"], prog_name="netprobe")
    offered = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", capsys.readouterr().out, re.MULTILINE))

    told = PAGES[name].replace("\\-", "-")
    assert "--help" in offered
    assert {option for option in offered if option not in told} == set()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_man_warns_of_nothing_in_a_page(name, need, tmp_path):
    need("man", has_man(), "man or groff is not installed")
    (tmp_path / name).write_text(PAGES[name], encoding="utf-8")

    assert complaints(tmp_path / name) == ""


def test_man_does_warn_of_a_page_that_is_broken(need, tmp_path):
    need("man", has_man(), "man or groff is not installed")
    (tmp_path / "broken.1").write_text(f"{PAGES['netprobe.1']}.nosuchrequest\n", encoding="utf-8")

    assert "nosuchrequest" in complaints(tmp_path / "broken.1")


def has_man():
    return shutil.which("man") is not None and shutil.which("groff") is not None


def complaints(page):
    command = [shutil.which("man"), "--warnings", "-E", "UTF-8", "-l", str(page)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    )
    assert "NAME" in ended.stdout
    return ended.stderr


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30))
def test_no_text_becomes_a_request_or_an_escape(text):
    line = _line(text)

    assert not line.startswith((".", "'"))
    assert "\\" not in re.sub(r"\\(?:e|-|&|\(dq)", "", line)


def test_the_script_writes_the_pages(tmp_path):
    subprocess.run([sys.executable, str(SCRIPT), "man", "--out", str(tmp_path / "man1")], check=True)

    assert {each.name for each in (tmp_path / "man1").iterdir()} == set(PAGES)
