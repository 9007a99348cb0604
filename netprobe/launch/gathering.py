"""Ask hosts what they are made of, past MPI: the same way that failed hosts are asked."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from shutil import which
from typing import Final

from netprobe.errors import FormatError, UnavailableError
from netprobe.launch.reach import python_words
from netprobe.launch.remote import Answer, Ask, agent_of, by_srun, by_ssh, local_or
from netprobe.launch.resolve import Resolve, away_and_unknown, resolve_by_system
from netprobe.launch.surroundings import Allocation, detect
from netprobe.model.finding import Gap
from netprobe.model.inventory import HostInventory
from netprobe.store.encoding import from_json

TIMEOUT_S: Final = 30  # an interpreter's first start from a busy network file system, and a second of reading
CODE: Final = "from netprobe.inventory.host import main; main(sys.argv[1:])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Hosts that answered, and why the others did not."""

    inventories: tuple[HostInventory, ...]
    gaps: tuple[Gap, ...] = ()


def gather(
    hosts: Sequence[str], excluded: Sequence[str], environ: Mapping[str, str], ask: Ask | None = None
) -> Gathered:
    """Return what hosts are made of, all asked at the same time; UnavailableError when there is no way to ask."""
    words = python_words(sys.executable, environ, CODE, *excluded)
    answers = (ask or way_to_ask(hosts, environ))(hosts, words, TIMEOUT_S)
    told = [_told(host, answers[host]) for host in hosts]
    return Gathered(
        inventories=tuple(each for each in told if isinstance(each, HostInventory)),
        gaps=tuple(each for each in told if isinstance(each, Gap)),
    )


def way_to_ask(hosts: Sequence[str], environ: Mapping[str, str], resolve: Resolve = resolve_by_system) -> Ask:
    """Return how these hosts are reached: as an MPI launcher would, over ssh or its stand-in, or by srun."""
    srun = which("srun", path=environ.get("PATH", os.defpath))
    if isinstance(detect(environ), Allocation) and srun is not None:
        return by_srun(srun)
    agent = agent_of(environ)
    if agent is None:
        raise UnavailableError(
            "hosts cannot be asked: the launcher is set to reach them by something that does not take ssh's words",
            remedy="the same under mpirun, with one rank on each host",
        )
    away, _ = away_and_unknown(list(hosts), resolve)
    return local_or(by_ssh(agent), away)


def _told(host: str, answer: Answer) -> HostInventory | Gap:
    if answer.code != 0 or not answer.lines:
        return Gap(topic=host, reason=f"did not tell what it is made of: {answer.why}", remedy="netprobe doctor there")
    try:
        # Under the name it was asked by, which is what the site calls it.
        return replace(from_json(answer.lines[-1].encode(), HostInventory), host=host)
    except FormatError as error:
        return Gap(
            topic=host, reason=f"its answer cannot be read: {error}", remedy="the same version of netprobe everywhere"
        )
