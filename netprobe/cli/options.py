"""Options that several commands share, as records; and the turning of their text into numbers with units."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from netprobe.errors import PlanError
from netprobe.units import parse_duration_ns, parse_size

AllPairs = Annotated[bool, typer.Option("--all-pairs", help="Every pair, not a few random partners each.")]
RunDirectory = Annotated[Path, typer.Argument(help="A run directory.")]


def directory(text: str) -> Path:
    """Return the directory that ``--out`` means; PlanError for none, which Path would take for the current one."""
    if not text:
        raise PlanError("--out has no directory", remedy="--out DIRECTORY, or leave it away")
    return Path(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Options that say where the ranks run."""

    hosts: Annotated[str | None, typer.Option(help="Hosts to test, as in node[01-64].")] = None
    hostfile: Annotated[Path | None, typer.Option(help="A hostfile of MPICH or Open MPI.")] = None
    ranks_per_host: Annotated[int | None, typer.Option(min=1, help="Ranks on each host; 1 by default.")] = None
    bind: Annotated[bool, typer.Option("--bind/--no-bind", help="Bind each rank to a core.")] = True
    oversubscribe: Annotated[
        bool, typer.Option("--oversubscribe", help="Allow more ranks than cores; timings then tell of the scheduler.")
    ] = False
    mpiexec: Annotated[
        Path | None, typer.Option(envvar="NETPROBE_MPIEXEC", help="The launcher to use, instead of looking for one.")
    ] = None
    forward: Annotated[
        list[str] | None, typer.Option(help="Forward this environment variable to the ranks as well; repeatable.")
    ] = None
    deadline: Annotated[
        str, typer.Option(help="How long nothing may come until whoever is silent is named and taken out.")
    ] = "15s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """Options that say how a run is judged and printed."""

    limits: Annotated[Path | None, typer.Option(help="TOML file that overrides limits.")] = None
    format: Annotated[str, typer.Option(help="console, json, markdown or nccl-tests.")] = "console"
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Every figure behind a finding, and the launcher's own output.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Options that say what is kept."""

    out: Annotated[
        Path | None,
        typer.Option(
            envvar="NETPROBE_RUNS",
            parser=directory,
            metavar="PATH",
            help="Where run directories go; your state directory by default.",
        ),
    ] = None
    seed: Annotated[int | None, typer.Option(help="Draw other partners.")] = None


Command = Callable[..., int]


def with_options(**groups: type[Any]) -> Callable[[Command], Command]:
    """Let a command take whole records: each record's fields become options of the command line.

    typer reads a command's parameters from its signature; this writes the signature that it should see.
    """

    def decorate(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        own = [each for each in inspect.signature(command).parameters.values() if each.name not in groups]
        own = [each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
        spread = [parameter for group in groups.values() for parameter in _parameters_of(group)]

        @wraps(command)
        def spread_command(**values: object) -> int:
            records = {
                name: group(**{each.name: values.pop(each.name) for each in fields(group)})
                for name, group in groups.items()
            }
            return command(**values, **records)

        parameters = [*own, *spread]
        spread_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        spread_command.__annotations__ = {each.name: each.annotation for each in parameters}
        return spread_command

    return decorate


def _parameters_of(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if each.default is MISSING else each.default,
            annotation=hints[each.name],
        )
        for each in fields(group)
    ]


def size_bytes(option: str, text: str) -> int:
    """Return the bytes that an option means; raise PlanError that names the option."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise PlanError(f"{option}: {error}") from error


def duration_ns(option: str, text: str) -> int:
    """Return the ns that an option means; raise PlanError that names the option when it means none."""
    try:
        elapsed_ns = parse_duration_ns(text)
    except ValueError as error:
        raise PlanError(f"{option}: {error}") from error
    if elapsed_ns <= 0:
        raise PlanError(f"{option}: a duration of {text!r} measures nothing", remedy=f"{option} 30s")
    return elapsed_ns
