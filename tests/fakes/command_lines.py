"""Command lines of netprobe in other files: found, and parsed by the command line that netprobe has."""

import re
import shlex

import typer.main

from netprobe.cli.app import app
from netprobe.cli.options import duration_ns
from netprobe.launch.hosts import expanded

NETPROBE = re.compile(r"(?:.*/)?\$?\{?netprobe\}?")
ENDS = re.compile(r"[;|&)]+|\|\||&&")
REDIRECTS = re.compile(r"\d*[<>].*")


def parsed(words):
    """Return the name of a command and what its options mean; an error where the parser would refuse them."""
    group = typer.main.get_command(app)
    name, *rest = words
    if name not in group.commands:
        raise LookupError(f"netprobe has no command {name}")
    options = group.commands[name].make_context(f"netprobe {name}", rest).params
    # What the parser takes for any text, and what is read later.
    if options.get("budget"):
        duration_ns("--budget", options["budget"])
    if options.get("hosts"):
        expanded(options["hosts"], "--hosts")
    return name, options


def in_shell(text):
    """Return the words behind ``netprobe`` of every line of a shell script, a crontab or a unit."""
    lines = text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := _behind_netprobe(line))]


def _behind_netprobe(line):
    lexer = shlex.shlex(line.removeprefix("ExecStart="), posix=True, punctuation_chars=";|&()")
    lexer.whitespace_split = True
    words = list(lexer) if not line.lstrip().startswith("#") else []
    at = next((number for number, word in enumerate(words) if NETPROBE.fullmatch(word)), None)
    if at is None:
        return []
    end = next((number for number in range(at, len(words)) if ENDS.fullmatch(words[number])), len(words))
    return [word for word in words[at + 1 : end] if not REDIRECTS.fullmatch(word)]
