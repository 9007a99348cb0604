"""docs/nightly.md and docs/gate.md: their commands are ones that there are, their mail is one that was printed."""

import re
from pathlib import Path

import pytest
from command_lines import in_shell, parsed

from netprobe.cli.gating import EXCLUDE_VARIABLE, HEALTHY_VARIABLE, HOSTFILE_VARIABLE, PLACEHOLDER
from netprobe.store.files import HOSTS_FILE
from netprobe.store.nightly import FILE, HISTORY_PAGE, HISTORY_TEXT, LOCK

ROOT = Path(__file__).parents[2]
NIGHTLY = (ROOT / "docs" / "nightly.md").read_text(encoding="utf-8")
GATE = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")


def blocks(page, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [NIGHTLY, GATE])
def test_every_command_is_one_that_there_is(page):
    found = [words for block in blocks(page, "sh") for words in in_shell(block)]

    assert len(found) == 2
    for words in found:
        parsed(words)


def test_the_mail_is_one_that_was_printed():
    printed = (ROOT / "tests" / "fixtures" / "nightly" / "opened.txt").read_text(encoding="utf-8")

    assert blocks(NIGHTLY, "text") == [printed]


def test_the_files_and_the_examples_are_those_that_there_are():
    for name in (FILE, HISTORY_PAGE, HISTORY_TEXT, LOCK):
        assert f"| `{name}` |" in NIGHTLY
    table = NIGHTLY.partition("## Cron")[2]
    for file in (ROOT / "scripts" / "examples").iterdir():
        assert f"`{file.name}`" in table or f"`{file.suffix}`" in table


def test_what_a_command_gets_is_told():
    for name in (EXCLUDE_VARIABLE, HEALTHY_VARIABLE, HOSTFILE_VARIABLE, HOSTS_FILE):
        assert f"`{name}`" in GATE
    for word in re.findall(r"`(\{\w+\})`", GATE):
        assert PLACEHOLDER.fullmatch(word)
