"""netprobe(1), made from the command line: every command with its options, as ``--help`` has them.

Tools that do this for click ask for classes of click, and typer has its own; they escape nothing either.
"""

from collections.abc import Iterator
from typing import Any, Final

import typer.main

from netprobe import __version__
from netprobe.cli.app import app
from netprobe.model.verdict import ExitCode, Verdict

NAME: Final = "netprobe"
SUMMARY: Final = "say whether a fabric is fit for a training job, and what is to be fixed first"
FILE: Final = f"{NAME}.1"
SETTINGS: Final = (
    ("NETPROBE_RUNS", "The folder of run directories, for what --out and --runs name."),
    ("NETPROBE_MPIEXEC", "The launcher to use, as --mpiexec names it."),
    ("NETPROBE_TRACEBACK", "Print the traceback of an internal error."),
)


def manual() -> str:
    """Return the page as troff with the macros of man(7)."""
    group = typer.main.get_command(app)
    return "\n".join((*_head(group), *_commands(group), *_tail())) + "\n"


def commands_of(group: Any, path: tuple[str, ...] = (NAME,)) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
    """Yield the path of every command below a group, and the command; a group that does something by itself too."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands_of(command, (*path, name))


def _head(group: Any) -> Iterator[str]:  # noqa: ANN401
    yield f'.TH {NAME.upper()} 1 "" "{NAME} {plain(__version__)}"'
    yield from (".SH NAME", f"{NAME} \\- {plain(SUMMARY)}")
    yield from (".SH SYNOPSIS", f".B {NAME}", "\\fICOMMAND\\fR [\\fIOPTIONS\\fR]")
    yield ".SH DESCRIPTION"
    yield from _paragraphs(group.help)
    yield ".SH OPTIONS"
    yield from _options((NAME,), group)


def _commands(group: Any) -> Iterator[str]:  # noqa: ANN401
    yield ".SH COMMANDS"
    for path, command in commands_of(group):
        pieces = " ".join(command.collect_usage_pieces(_context(path, command)))
        yield f".SS {' '.join(map(plain, path))} {plain(pieces)}"
        yield from _paragraphs(command.help)
        yield from _options(path, command)


def _tail() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for code in ExitCode:
        verdict = next((each.value for each in Verdict if each.exit_code is code), code.name.lower().replace("_", " "))
        yield from _entry(str(code.value), verdict)
    yield ".SH ENVIRONMENT"
    for name, meaning in SETTINGS:
        yield from _entry(name, meaning)


def _options(path: tuple[str, ...], command: Any) -> Iterator[str]:  # noqa: ANN401
    context = _context(path, command)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            yield from _entry(*record)


def _entry(term: str, text: str) -> Iterator[str]:
    yield from (".TP", f"\\fB{plain(term)}\\fR", *_paragraphs(text or ""))


def _context(path: tuple[str, ...], command: Any) -> Any:  # noqa: ANN401
    """Return what a command is asked in; nothing is parsed, so that nothing is missing."""
    return command.context_class(command, info_name=" ".join(path), **(app.info.context_settings or {}))


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        if number:
            yield ".PP"
        yield plain(" ".join(paragraph.split()))


def plain(text: str) -> str:
    """Return a text of which troff reads nothing as a request or an escape."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
