"""Can the launcher get to these hosts, and is netprobe there? Asked of all hosts at once, before anything is started.

A launcher asked to start ranks on a dead host says so after minutes, in words that name no host, or not at all.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from netprobe.launch.remote import Answer, Ask
from netprobe.model.standing import Benched, Fate

COMMAND_TIMEOUT_S: Final = 30  # Python's first start from a busy network file system
UNREACHED: Final = (124, 255)  # exit codes of a command that never began: its time was over, or ssh failed


def unusable(hosts: Sequence[str], python: str, environ: Mapping[str, str], ask: Ask) -> tuple[Benched, ...]:
    """Return the hosts that cannot be reached, or where ``python`` cannot import netprobe, each with the reason."""
    answers = ask(hosts, python_words(python, environ, "import netprobe"), COMMAND_TIMEOUT_S)
    return tuple(_benched(host, answers[host]) for host in hosts if answers[host].code != 0)


def python_words(python: str, environ: Mapping[str, str], code: str, *arguments: str) -> tuple[str, ...]:
    """Return the argument list that runs code where a rank could start: the same Python, with netprobe."""
    home = str(Path(__file__).parents[2])
    settings = (f"PYTHONPATH={environ['PYTHONPATH']}",) if "PYTHONPATH" in environ else ()
    return ("env", *settings, python, "-c", f"import sys; sys.path.append({home!r}); {code}", *arguments)


def _benched(host: str, answer: Answer) -> Benched:
    fate = Fate.UNREACHABLE if answer.code in UNREACHED else Fate.UNUSABLE
    return Benched(host=host, fate=fate, detail=answer.why)
