"""``sbatch --test-only FILE`` without Slurm: it reads lines of options as Slurm does, and refuses unknown ones.

Lines count until the first one that is neither a comment nor empty, as in sbatch(1); ``#SCRON`` is that of scrontab(1).
"""

import argparse
import re
import sys
from pathlib import Path

DURATION = re.compile(r"(?:\d+-)?\d+(?::\d\d){0,2}")
MAILS = {"NONE", "BEGIN", "END", "FAIL", "REQUEUE", "ALL", "TIME_LIMIT"}
TEXTS = ("job-name", "partition", "output", "error", "account", "qos", "constraint", "nodelist", "exclude", "mail-user")
NUMBERS = ("nodes", "ntasks", "ntasks-per-node", "cpus-per-task", "gpus-per-node")


def options(lines, mark):
    """Return what the lines ask for; ValueError for what Slurm would not take."""
    words = [word for line in _head(lines) if line.startswith(mark) for word in line.removeprefix(mark).split()]
    return vars(_parser().parse_args(words))


def _head(lines):
    for line in lines:
        if line.strip() and not line.startswith("#"):
            return
        yield line


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(message)


def _parser():
    parser = _Parser(allow_abbrev=False, add_help=False)
    for name in TEXTS:
        parser.add_argument(f"--{name}")
    for name in NUMBERS:
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--time", type=_duration)
    parser.add_argument("--mail-type", type=lambda text: {"": text}[",".join({*text.split(",")} - MAILS)])
    parser.add_argument("--open-mode", choices=("append", "truncate"))
    parser.add_argument("--exclusive", action="store_true")
    return parser


def _duration(text):
    if DURATION.fullmatch(text) is None:
        raise ValueError(text)
    return text


def main(test_only, file):
    """Read the options of a batch script, and start nothing."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    if test_only != "--test-only" or not lines[0].startswith("#!"):
        return "sbatch: error: This does not look like a batch script"
    try:
        options(lines, "#SBATCH")
    except ValueError as error:
        return f"sbatch: error: {error}"
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
