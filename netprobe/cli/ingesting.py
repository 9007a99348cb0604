"""``netprobe ingest``: what other tools printed, read and judged as far as it goes."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from netprobe.cli.output import print_drawn, render_options
from netprobe.cli.streams import tell
from netprobe.errors import FormatError, NetprobeError, PlanError, StoreError
from netprobe.ingest.recognise import ReadFile, read_text
from netprobe.ingest.together import together
from netprobe.model.finding import Gap
from netprobe.model.limits import Limits
from netprobe.model.snapshot import Snapshot
from netprobe.store.snapshots import SUFFIX

if TYPE_CHECKING:
    from netprobe.judge.ingested import Ingested
    from netprobe.store.reader import Run

FORMATS: Final = ("console", "json")
LARGEST_BYTES: Final = 64 << 20
"""Of a file: logs of days are larger, and hold no more tables."""
STDIN: Final = "-"
INGEST_FILE: Final = "ingest.json"
MOST_NAMES: Final = 6
"""Of counters that are not used."""
GZIP: Final = b"\x1f\x8b"
PROFILE: Final = "ingest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file to read, and the host that it was said to be of."""

    path: str
    host: str | None

    @property
    def name(self) -> str:
        """How reports refer to it."""
        return "standard input" if self.path == STDIN else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How to judge and print."""

    limits: Path | None
    output_format: str
    verbose: bool
    out: Path | None
    elapsed_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    files: tuple[ReadFile, ...]
    owners: tuple[str | None, ...]
    snapshots: tuple[Snapshot, ...]
    lines: tuple[str, ...]
    gaps: tuple[Gap, ...]


def ingest_files(names: Sequence[str], wish: Wish) -> int:
    """Read, judge and print; return 0, 1 or 2 by the worst finding, 3 when nothing could be judged."""
    from netprobe.judge.limits import load_limits

    if wish.output_format not in FORMATS:
        raise PlanError(f"there is no format called {wish.output_format!r} here", remedy=" or ".join(FORMATS))
    limits = Limits() if wish.limits is None else load_limits(wish.limits)
    run, found = _judged(_read_all([source_of(name) for name in names]), limits, wish.elapsed_ns)
    options = render_options(verbose=wish.verbose)
    if wish.output_format == "json":
        from netprobe.store.encoding import json_document

        print_drawn(json_document(found).decode())
    else:
        from netprobe.cli.ingest_text import drawn

        print_drawn(drawn(found, options))
    if wish.out is not None:
        tell(f"netprobe: written to {_keep(run, found, wish.out)}")
    return found.exit_code


def source_of(name: str) -> Source:
    """Return what ``FILE`` or ``HOST=FILE`` means; an existing file is always meant itself."""
    host, has_host, path = name.partition("=")
    try:
        is_file = Path(name).exists()
    except (OSError, ValueError):
        is_file = False
    if is_file or not has_host or not host or not path or "/" in host:
        return Source(path=name, host=None)
    return Source(path=path, host=host)


def _read_all(sources: Sequence[Source]) -> _Read:
    """Read every file; those that hold nothing become gaps, unless all do."""
    files: list[tuple[ReadFile, str | None]] = []
    snapshots: list[Snapshot] = []
    lines: list[str] = []
    problems: list[NetprobeError] = []
    for source in sources:
        try:
            told = _read(source)
        except StoreError as error:
            problems.append(error)
            continue
        if isinstance(told, Snapshot):
            snapshots.append(told)
            lines.append(f"{source.name}: a snapshot of {told.inventory.host}, taken {told.taken}")
        else:
            files.append((told, source.host))
            lines.append(line_of(told))
    if not lines:
        raise problems[0]
    return _Read(
        files=tuple(file for file, _ in files),
        owners=tuple(owner for _, owner in files),
        snapshots=tuple(snapshots),
        lines=tuple(lines),
        gaps=tuple(Gap(topic=PROFILE, reason=str(problem)) for problem in problems),
    )


def _read(source: Source) -> ReadFile | Snapshot:
    try:
        if source.path == STDIN:
            content = sys.stdin.buffer.read(LARGEST_BYTES + 1)
        else:
            with Path(source.path).open("rb") as file:
                content = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(f"{source.name} cannot be read: {reason}") from error
    if len(content) > LARGEST_BYTES:
        raise FormatError(f"{source.name} is larger than {LARGEST_BYTES >> 20} MiB", remedy="the part with the figures")
    if content.startswith(GZIP):
        from netprobe.store.snapshots import read_snapshot

        if source.path == STDIN:
            raise FormatError("a snapshot is not read from standard input", remedy=f"the path of the *{SUFFIX}")
        return read_snapshot(Path(source.path))
    return read_text(content.decode("utf-8", errors="replace"), source.name)


def line_of(file: ReadFile) -> str:
    """Return what was read of a file, in a line."""
    from netprobe.reporters._wording import counted

    parts = [f"{counted(file.lines, 'line')} read"]
    parts += [
        f"{each.tool} {each.operation or 'table'} of {counted(len(each.rows), 'row')}" for each in file.benchmarks
    ]
    if file.samples:
        counters = sum(len(each.values) for each in file.samples)
        parts.append(f"{counted(counters, 'counter')} in {counted(len(file.samples), 'reading')} of ports")
    others = {"link": file.links, "flow-control report": file.qos, "neighbour": file.neighbours, "cable": file.cables}
    parts += [counted(len(told), noun) for noun, told in others.items() if told]
    if file.subnet:
        parts.append(f"{counted(len(file.subnet), 'link')} of an InfiniBand subnet")
    if file.nccl:
        parts.append(f"NCCL's log of {counted(len(file.nccl), 'rank')}")
    if file.switches:
        parts.append(f"switch counters in {counted(len(file.switches), 'row')}")
    if file.unused_counters:
        parts.append(_unused(file.unused_counters))
    if file.unread:
        parts.append(f"{counted(file.unread, 'line')} not understood (first: line {file.first_unread})")
    return f"{file.name}: {', '.join(parts)}"


def _unused(names: Sequence[str]) -> str:
    """Return how many counters of a switch nothing is made of, and the first by name."""
    from netprobe.reporters._wording import counted

    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{counted(len(names), 'counter')} of switches not used ({', '.join(names[:MOST_NAMES])}{more})"


def _judged(read: _Read, limits: Limits, elapsed_ns: int | None) -> "tuple[Run, Ingested]":
    from netprobe.ingest.run_of import run_of
    from netprobe.judge.ingested import Material, judge_ingested

    told = together(read.files, read.owners, read.snapshots, elapsed_ns)
    run = run_of(told.hosts, profile=PROFILE, now=datetime.now(UTC), gaps=(*read.gaps, *told.gaps), nccl=told.nccl)
    benchmarks = tuple(each for file in read.files for each in file.benchmarks)
    readings = {each.inventory.host: each.readings for each in told.hosts}
    material = Material(
        run=run,
        readings=readings,
        benchmarks=benchmarks,
        files=read.lines,
        assumed=told.assumed,
        switches=told.switches,
        subnet=tuple(each for file in read.files for each in file.subnet),
        moments_ns={each.inventory.host: each.moments_ns for each in told.hosts},
    )
    return run, judge_ingested(material, limits)


def _keep(run: "Run", found: "Ingested", out: Path) -> Path:
    from netprobe.store.encoding import json_document
    from netprobe.store.files import write_atomically
    from netprobe.store.whole import write_whole

    directory = write_whole(run, out)
    try:
        write_atomically(directory / INGEST_FILE, json_document(found))
    except OSError as error:
        raise StoreError(f"{directory} cannot be written: {error.strerror}", remedy="another directory") from error
    return directory
