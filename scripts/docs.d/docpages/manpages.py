"""Manual pages from the command line itself: netprobe.1, and one for each command.

click-man makes such pages of click's commands; typer brings a click of its own, which it does not know. What is used of
a command is what ``--help`` prints of it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import typer

from netprobe import __version__
from netprobe.cli.app import app
from netprobe.model.verdict import Verdict
from netprobe.reporters.html import MEANINGS

SECTION: Final = "1"
NOT_VERDICTS: Final = (
    ("4", "usage or set-up error; nothing was measured"),
    ("130", "interrupted; what was measured is kept"),
)
VARIABLES: Final = (
    ("NETPROBE_RUNS", "the folder of run directories, where neither --out nor --runs is given"),
    ("NO_COLOR", "no colours on a terminal, whatever its value"),
    ("NETPROBE_TRACEBACK", "a traceback with an internal error"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of the program: of typer's, what a page tells."""

    words: tuple[str, ...]
    """``netprobe``, ``history``, ``ack``."""
    told: Any
    context: Any

    @property
    def page(self) -> str:
        """The name of its page."""
        return "-".join(self.words)


def man_pages() -> dict[str, str]:
    """Return all pages by file name."""
    commands = tuple(_commands(("netprobe",), typer.main.get_command(app), None))
    return {f"{each.page}.{SECTION}": _page(each, commands) for each in commands}


def _commands(words: tuple[str, ...], told: Any, parent: Any) -> Iterator[Command]:  # noqa: ANN401 - click's own
    context = typer.Context(told, info_name=words[-1], parent=parent, **told.context_settings)
    yield Command(words=words, told=told, context=context)
    for name, each in sorted(getattr(told, "commands", {}).items()):
        if not each.hidden:
            yield from _commands((*words, name), each, context)


def _page(command: Command, commands: Sequence[Command]) -> str:
    own = [each for each in commands if each.words[:-1] == command.words]
    lines = [
        '.\\" Made from the command line by scripts/docs man; to be changed there.',
        f'.TH {_word(command.page.upper())} {SECTION} "" "netprobe {_text(__version__)}" "netprobe manual"',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{_text(command.page)} \\- {_text(_short(command))}",
        ".SH SYNOPSIS",
        *_synopsis(command),
        ".SH DESCRIPTION",
        *_paragraphs(command.told.help or ""),
        *_options(command),
        *_list("COMMANDS", [(" ".join(each.words), _short(each)) for each in own]),
        *_list("EXIT STATUS", _exit_codes()),
        *_list("ENVIRONMENT", VARIABLES if len(command.words) == 1 else ()),
        ".SH SEE ALSO",
        _see_also(command, own, commands),
    ]
    return "\n".join(lines) + "\n"


def _synopsis(command: Command) -> Iterator[str]:
    pieces = " ".join(command.told.collect_usage_pieces(command.context))
    yield f".B {_text(' '.join(command.words))}"
    if pieces:
        yield _line(pieces)


def _short(command: Command) -> str:
    """Return the first sentence of its help, as a name section has it: without its end."""
    first = re.split(r"(?<=[.?!])\s|\n\n", (command.told.help or "").strip())[0]
    return " ".join(first.split()).removesuffix(".")


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        yield _line(" ".join(paragraph.split()))


def _options(command: Command) -> Iterator[str]:
    parameters = [each for each in command.told.get_params(command.context) if each.get_help_record(command.context)]
    for heading, own in groupby(sorted(parameters, key=_heading), key=_heading):
        yield from _list(heading[1].upper(), [each.get_help_record(command.context) for each in own])


def _heading(parameter: Any) -> tuple[int, str]:  # noqa: ANN401 - click's own
    if parameter.param_type_name == "argument":
        return 0, "Arguments"
    group = getattr(parameter, "rich_help_panel", None)
    return (1, "Options") if group is None else (2, group)


def _exit_codes() -> tuple[tuple[str, str], ...]:
    return (*((str(int(each.exit_code)), f"{each}: {MEANINGS[each]}") for each in Verdict), *NOT_VERDICTS)


def _list(title: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    if rows:
        yield f".SH {_word(title)}"
    for name, text in rows:
        yield ".TP"
        yield f".B {_text(name)}"
        yield _line(" ".join(text.split())) if text else "\\&"


def _see_also(command: Command, own: Sequence[Command], commands: Sequence[Command]) -> str:
    above = [each for each in commands if each.words == command.words[:-1]]
    beside = [each for each in commands if each.words[:-1] == command.words[:-1] and each is not command]
    near = [*above, *own, *(beside if len(command.words) > 1 else ())]
    return ", ".join(f"\\fB{_text(each.page)}\\fR({SECTION})" for each in near)


def _word(text: str) -> str:
    return f'"{_text(text)}"'


def _line(text: str) -> str:
    """Return a line of text, which is no request though it may begin like one."""
    return f"\\&{_text(text)}" if text[:1] in (".", "'") else _text(text)


def _text(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
