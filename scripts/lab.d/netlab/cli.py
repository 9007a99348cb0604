"""The command line: parse, call, print, exit."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from netlab.client import run_at_console
from netlab.errors import LabError, refused
from netlab.faults import AT_A_PORT, Direction, Fault, Kind
from netlab.lab import DEFAULT_NAME, Lab, all_labs
from netlab.shape import LOGIN, Shape, rate_of, rate_text
from netlab.state import folder_of

Action = Callable[[argparse.Namespace], int]

DESCRIPTION = """An emulated cluster on this machine, with faults on purpose; needs root, ip, tc, nft and unshare.

  lab up --hosts 8 --leaves 2 --rate 1gbit
  lab run -- netprobe check --hosts 'h[1-8]' --no-bind
  lab inject loss --host h3 --direction rx --rate 1e-3
  lab clear
  lab down

Hosts are h1, h2, …, the first ones on the first leaf. `lab run` starts a command on the login host, from where the MPI
launcher reaches the others by a stand-in for ssh; data goes over another network. Nothing is made outside of
namespaces, and killing one process, the fabric's holder, removes it all.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what is asked, and return the exit code: 3 when it cannot be done, 4 when this machine cannot do it."""
    options = _parser().parse_args(argv)
    action: Action = options.action
    try:
        return action(options)
    except (LabError, PermissionError) as error:
        known = error if isinstance(error, LabError) else refused(error)
        print(f"lab: {known}", file=sys.stderr)
        return known.exit_code
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = _command(commands, "up", _up, "bring a lab up")
    up.add_argument("--hosts", type=int, default=8, help="8 by default")
    up.add_argument("--leaves", type=int, default=2, help="leaf switches, all connected to one spine; 2 by default")
    up.add_argument("--rate", metavar="RATE", help="of each host's port, as in 1gbit; no limit by default")
    up.add_argument("--mtu", type=int, default=9000, metavar="BYTES", help="of the fabric; 9000 by default")
    _command(commands, "down", _down, "take a lab down, complete or not")
    _command(commands, "list", _list, "show what labs there are", is_of_one=False)
    _command(commands, "topology", _topology, "print which leaf each host is on, for netprobe check --topology")
    run = _command(commands, "run", _run, "run a command on the login host, or another one")
    run.add_argument("--host", default=LOGIN, help="login by default")
    run.add_argument("command", nargs="+", metavar="COMMAND", help="after --, with its arguments")
    inject = _command(commands, "inject", None, "do harm")
    _add_faults(inject.add_subparsers(required=True, metavar="KIND"))
    clear = _command(commands, "clear", _clear, "take all faults away, but not wake the dead")
    clear.add_argument("--host", help="only this host's")
    _command(commands, "faults", _faults, "show what is injected, and how many packets it took")
    for name, action, text in (
        ("resume", _resume, "let a host go on that was paused or stalled"),
        ("revive", _revive, "switch a killed host on again; all of them by default"),
    ):
        _command(commands, name, action, text).add_argument("--host", required=name == "resume")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    action: Action | None,
    text: str,
    *,
    is_of_one: bool = True,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    if is_of_one:
        parser.add_argument("--name", default=DEFAULT_NAME, help=f"of the lab; {DEFAULT_NAME!r} by default")
    if action is not None:
        parser.set_defaults(action=action)
    return parser


def _add_faults(kinds: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add one subcommand for each fault."""
    loss = _command(kinds, "loss", _inject, "lose packets of a host, or of a leaf's trunk, at random")
    _add_place(loss, has_leaf=True)
    loss.add_argument("--rate", dest="amount", type=_ratio, required=True, help="ratio of packets, as in 1e-3")
    rate = _command(kinds, "rate", _inject, "slow a host's port, or a leaf's trunk, down")
    _add_place(rate, has_leaf=True)
    rate.add_argument("--rate", dest="amount", type=_rate, required=True, help="as in 100mbit")
    mtu = _command(kinds, "mtu", _inject, "lose every packet of a host that is larger, without a word")
    _add_place(mtu)
    mtu.add_argument("--bytes", dest="amount", type=int, required=True, help="the largest IP packet that gets through")
    cut = _command(kinds, "cut", _inject, "lose everything of a host, on both networks; its processes live on")
    _add_place(cut, has_direction=False)
    for name, text in (
        ("partition", "lose everything between two groups of hosts"),
        ("path-loss", "lose packets between two groups of hosts at random"),
    ):
        kind = _command(kinds, name, _inject, text)
        place = kind.add_mutually_exclusive_group(required=True)
        place.add_argument("--between", metavar="GROUP/GROUP", help="as in h1,h2/h5")
        place.add_argument("--leaf", type=int, help="between this leaf's hosts and all others")
        _add_direction(kind, "tx is from the first group to the second")
        if name == "path-loss":
            kind.add_argument("--rate", dest="amount", type=_ratio, required=True, help="ratio of packets, as in 1e-2")
    for name in ("delay", "jitter"):
        kind = _command(kinds, name, _inject, "delay packets, where the kernel has netem")
        _add_place(kind, has_leaf=True)
        kind.add_argument("--ms", dest="amount", type=float, required=True, help="jitter: this much more or less")
    for name, action, text in (
        ("pause-host", _inject, "stop every process of a host"),
        ("stall-rank", _inject, "freeze one rank of netprobe on a host: neither stopped nor running"),
        ("kill-host", _kill_host, "switch a host off at once"),
        ("kill-rank", _kill_rank, "kill one rank of netprobe on a host"),
    ):
        _add_place(_command(kinds, name, action, text), has_direction=False)
    noise = _command(kinds, "cpu-noise", _inject, "leave a host's processes part of a processor, ten slices a second")
    _add_place(noise, has_direction=False)
    noise.add_argument("--share", dest="amount", type=_share, required=True, help="processors, as in 0.2")
    for name, kind in kinds.choices.items():
        kind.set_defaults(kind=name)


def _add_place(parser: argparse.ArgumentParser, *, has_leaf: bool = False, has_direction: bool = True) -> None:
    if has_leaf:
        place = parser.add_mutually_exclusive_group(required=True)
        place.add_argument("--host")
        place.add_argument("--leaf", type=int, help="this leaf's trunk to the spine")
    else:
        parser.add_argument("--host", required=True)
    if has_direction:
        _add_direction(parser, "tx is what it sends")


def _add_direction(parser: argparse.ArgumentParser, text: str) -> None:
    ways = ", ".join(way.value for way in Direction)
    parser.add_argument("--direction", type=Direction, default=Direction.BOTH, help=f"{ways} (default); {text}")


def _ratio(text: str) -> float:
    value = float(text)
    if not 1e-6 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a ratio from 1e-6 to 1")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0.01 <= value <= (os.cpu_count() or 1):
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0.01 to {os.cpu_count()} processors")
    return value


def _rate(text: str) -> int:
    try:
        return rate_of(text)
    except LabError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _up(options: argparse.Namespace) -> int:
    rate_bps = None if options.rate is None else rate_of(options.rate)
    shape = Shape(hosts=options.hosts, leaves=options.leaves, rate_bps=rate_bps, mtu_bytes=options.mtu)
    lab, is_new = Lab.up(shape, options.name)
    print(f"lab {lab.name} is up{'' if is_new else ' already'}: {shape}")
    return 0


def _down(options: argparse.Namespace) -> int:
    was_there = Lab(name=options.name).down()
    print(f"lab {options.name} is {'down' if was_there else 'not there'}")
    return 0


def _list(_: argparse.Namespace) -> int:
    for name, state in all_labs():
        print(f"{name}: {'remains of one; lab down removes them' if state is None else state.shape}")
    return 0


def _topology(options: argparse.Namespace) -> int:
    print(Lab(name=options.name).shape.topology(), end="")
    return 0


def _run(options: argparse.Namespace) -> int:
    lab = Lab(name=options.name)
    lab.state.holder(options.host)
    path = folder_of(options.name) / f"{options.host}.sock"
    environ = lab.environment()
    with suppress(FileNotFoundError):
        return run_at_console(path, options.command, environ, str(Path.cwd()))
    raise LabError(f"{options.host} of lab {options.name} does not listen", remedy="lab down and lab up")


def _inject(options: argparse.Namespace) -> int:
    lab = Lab(name=options.name)
    fault = Fault(
        kind=Kind(options.kind),
        target=_target(options, lab),
        direction=getattr(options, "direction", Direction.BOTH),
        amount=getattr(options, "amount", None),
    )
    lab.inject(fault)
    return 0


def _target(options: argparse.Namespace, lab: Lab) -> str:
    leaf, between = getattr(options, "leaf", None), getattr(options, "between", None)
    if between is not None:
        if between.count("/") != 1:
            raise LabError(f"--between {between} does not name two groups", remedy="--between h1,h2/h5")
        return str(between)
    if leaf is None:
        return str(options.host)
    near = lab.shape.on_leaf(leaf)
    if options.kind in AT_A_PORT:
        return f"leaf{leaf}"
    far = [name for name in lab.shape.host_names() if name not in near]
    if not far:
        raise LabError(f"leaf {leaf} is the only one", remedy="--between with two groups")
    return f"{','.join(near)}/{','.join(far)}"


def _kill_host(options: argparse.Namespace) -> int:
    Lab(name=options.name).kill_host(options.host)
    return 0


def _kill_rank(options: argparse.Namespace) -> int:
    Lab(name=options.name).kill_rank(options.host)
    return 0


def _clear(options: argparse.Namespace) -> int:
    Lab(name=options.name).clear(options.host)
    return 0


def _resume(options: argparse.Namespace) -> int:
    Lab(name=options.name).resume(options.host)
    return 0


def _revive(options: argparse.Namespace) -> int:
    for host in Lab(name=options.name).revive(options.host):
        print(f"{host} is up")
    return 0


def _faults(options: argparse.Namespace) -> int:
    lab = Lab(name=options.name)
    for fault, packets in lab.faults():
        amount = f" ({rate_text(int(fault.amount))})" if fault.kind is Kind.RATE and fault.amount else ""
        print(f"{fault}{amount}" if packets is None else f"{fault}: {packets} packets lost")
    for host in lab.state.killed:
        print(f"kill-host {host}")
    return 0
