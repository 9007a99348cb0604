"""Options that several commands share, as records; and the turning of their text into numbers with units."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from netprobe.cli.completing import format_names
from netprobe.errors import PlanError
from netprobe.model.plan import Carriers, GpuPlace, Memories
from netprobe.model.rdma import Engine, Operation
from netprobe.plan.bursts import BurstWish
from netprobe.plan.gpu import parse_gpu_map
from netprobe.plan.rdma import RdmaWish
from netprobe.units import parse_duration_ns, parse_size

AllPairs = Annotated[bool, typer.Option("--all-pairs", help="Every pair, not a few random partners each.")]
Excluded = Annotated[
    list[str] | None,
    typer.Option("--exclude", help="Do not read this RDMA device or interface; repeatable."),
]
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
    topology: Annotated[
        Path | None,
        typer.Option(help="Which leaf switch each host is on: Slurm's topology.conf, TOML, JSON, cables (CSV)."),
    ] = None
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
    exclude: Excluded = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """Options that say how a run is judged and printed."""

    limits: Annotated[Path | None, typer.Option(help="TOML file that overrides limits.")] = None
    expectations: Annotated[
        Path | None, typer.Option(help="TOML file of what to expect here, before the shipped table.")
    ] = None
    format: Annotated[
        str | None,
        typer.Option(
            help="console (the default), markdown, html, json, jsonl, junit, sarif, prometheus, nccl-tests, osu, "
            "perftest, hosts, hosts-mpich, hosts-openmpi, hosts-slurm or drain.",
            show_default=False,
            autocompletion=format_names,
        ),
    ] = None
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write one page with maps and curves, to look at and to hand around."),
    ] = None
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


def _bursts(*names: str, **settings: Any) -> Any:  # noqa: ANN401 - what typer.Option takes and returns
    return typer.Option(*names, rich_help_panel="Bursts", show_default=False, **settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """Options of bursts like those of training."""

    soak: Annotated[
        str | None, _bursts(help="Bursts for so long, as in 20m or 4h. check: behind the profile. run bursts: 10s.")
    ] = None
    period: Annotated[str | None, _bursts(help="From step to step; 100ms by default.")] = None
    duty: Annotated[
        float | None, _bursts(help="Share of the period that a step computes before it all-reduces; 0.5 by default.")
    ] = None
    size: Annotated[str | None, _bursts(help="What a step all-reduces; 64M by default.")] = None
    buckets: Annotated[int | None, _bursts(help="All-reduces of a step that share the size; 1 by default.")] = None
    free_running: Annotated[
        bool, _bursts("--free-running", help="Begin each step as soon as the one before has ended, not in phase.")
    ] = False
    overlap: Annotated[
        bool, _bursts("--overlap", help="Compute while the step all-reduces, on other CPUs: what is exposed of it?")
    ] = False


def burst_wish_of(bursts: Bursts) -> BurstWish:
    """Return what options of bursts mean; PlanError names the option that means nothing."""
    return BurstWish(
        length_ns=None if bursts.soak is None else duration_ns("--soak", bursts.soak),
        period_ns=None if bursts.period is None else duration_ns("--period", bursts.period),
        compute_ratio=bursts.duty,
        size_bytes=None if bursts.size is None else size_bytes("--size", bursts.size),
        buckets=bursts.buckets,
        is_free_running=bursts.free_running,
        overlaps=bursts.overlap,
    )


def _rdma(*names: str, **settings: Any) -> Any:  # noqa: ANN401 - what typer.Option takes and returns
    return typer.Option(*names, rich_help_panel="RDMA", **settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rdma:
    """Options that say what goes over RDMA, and by which port, address and class of traffic."""

    transport: Annotated[
        Carriers | None,
        _rdma(
            help="What carries messages: MPI, verbs (RDMA alone), nccl (GPUs), or auto: all for which there are "
            "devices. run: mpi by default; check: auto.",
            show_default=False,
        ),
    ] = None
    rdma_device: Annotated[
        str | None, _rdma(help="Port to use, as in mlx5_0 or mlx5_0/2; else each rank of a host the next active one.")
    ] = None
    gid_index: Annotated[
        int | None, _rdma(help="Entry of the port's table of addresses; else RoCE v2 with IPv4, if there is one.")
    ] = None
    dscp: Annotated[int | None, _rdma(help="Class of traffic, 0 to 63; where it goes is up to NICs and switches.")] = (
        None
    )
    traffic_class: Annotated[int | None, _rdma(help="The same as a whole octet: the DSCP times four.")] = None
    source_port: Annotated[
        int | None, _rdma(help="UDP source port of RoCE v2, 49152 to 65535: another port is another path.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RdmaTuning:
    """Options that say how queue pairs are made and fed."""

    operation: Annotated[
        Operation | None, _rdma(help="The verb; send by default for latency, write for the others.", show_default=False)
    ] = None
    engine: Annotated[
        Engine | None, _rdma(help="Who posts and polls; pyverbs is the slow reference.", show_default=False)
    ] = None
    path_mtu: Annotated[int | None, _rdma(help="256 to 4096; else the most that both ports have active.")] = None
    service_level: Annotated[int | None, _rdma(help="0 to 15; of RoCE the priority in a VLAN's tag.")] = None
    ack_timeout: Annotated[
        int | None, _rdma(help="4.096 us times two to the power of this until a message is sent again; 14 by default.")
    ] = None
    retry: Annotated[int | None, _rdma(help="How often a message is sent again, 0 to 7; 7 by default.")] = None
    rnr_retry: Annotated[int | None, _rdma(help="The same where the receiver was not ready; 7: without end.")] = None
    rnr_timer: Annotated[int | None, _rdma(help="How long then to wait, as a code of 0 to 31; 12 by default.")] = None
    queue_pairs: Annotated[
        int | None, _rdma("--qps", "-q", help="Queue pairs of each pair of ranks, each on its own path; 1 by default.")
    ] = None
    signal_every: Annotated[
        int | None, _rdma(help="Messages for each completion; a quarter of the window by default.")
    ] = None
    post_list: Annotated[int | None, _rdma(help="Messages handed to the NIC at once; 1 by default.")] = None
    inline: Annotated[int | None, _rdma(help="Largest message copied into its request; 220 bytes by default.")] = None


NO_TUNING = RdmaTuning()


@dataclass(frozen=True, slots=True, kw_only=True)
class OnGpus:
    """Options that say which memory is tested, and which GPU a rank uses."""

    memory: Annotated[
        Memories,
        typer.Option(
            rich_help_panel="GPUs",
            help="Where messages lie: host, device (a GPU), pinned, managed, or auto: the host, and GPUs where there "
            "are any (run: the host).",
        ),
    ] = Memories.AUTO
    gpu_map: Annotated[
        str | None,
        typer.Option(
            rich_help_panel="GPUs",
            help="GPU and NIC of each rank of a host, as in 0:mlx5_0,1:mlx5_1; else the k-th GPU, the nearest NIC.",
        ),
    ] = None

    @property
    def places(self) -> tuple[GpuPlace, ...]:
        """The map, read; PlanError says what is wrong."""
        return () if self.gpu_map is None else parse_gpu_map(self.gpu_map)


def wish_of(rdma: Rdma, tuning: RdmaTuning = NO_TUNING) -> RdmaWish:
    """Return what was asked of RDMA."""
    return RdmaWish(
        engine=tuning.engine,
        operation=tuning.operation,
        device=rdma.rdma_device,
        gid_index=rdma.gid_index,
        path_mtu_bytes=tuning.path_mtu,
        dscp=rdma.dscp,
        traffic_class=rdma.traffic_class,
        service_level=tuning.service_level,
        source_port=rdma.source_port,
        ack_timeout=tuning.ack_timeout,
        retry_count=tuning.retry,
        rnr_retry_count=tuning.rnr_retry,
        min_rnr_timer=tuning.rnr_timer,
        queue_pairs=tuning.queue_pairs,
        signal_every=tuning.signal_every,
        post_list=tuning.post_list,
        inline_bytes=tuning.inline,
    )


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
