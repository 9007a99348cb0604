"""Words of a page for figures of exhibits: titles of maps and spreads, values with their units."""

from typing import Final

from netprobe.model.exhibits import Figure, PairMap, Spread
from netprobe.model.plan import REACH, Memory, Path, Scope, memory_title
from netprobe.reporters._figures import TITLES
from netprobe.reporters._wording import duration, message_size
from netprobe.units import format_gbps

WHERE: Final = {Scope.WITHIN_HOST: "within hosts", Scope.BETWEEN_HOSTS: "between hosts", Scope.WORLD: "all together"}
SHORT: Final = {"latency": "latency", REACH: "datagram latency", "bandwidth": "bandwidth", "bidirectional": "both ways"}
CARRIERS: Final = {Path.MPI: "MPI", Path.VERBS: "RDMA", Path.NCCL: "NCCL"}


def memory_words(send: Memory, receive: Memory) -> str:
    """Return ``, GPU memory``; nothing where both ends are in host memory."""
    return "" if send is receive is Memory.HOST else f", {memory_title(send, receive)}"


def map_tab(pair_map: PairMap) -> str:
    """Return the shortest name of a map among the others of a report: ``RDMA bandwidth``."""
    if pair_map.figure is Figure.LOSS:
        return f"loss: {str(pair_map.witness).partition(',')[0]}"
    memory = memory_words(pair_map.send_memory, pair_map.receive_memory)
    return f"{CARRIERS[pair_map.path]} {SHORT.get(pair_map.probe, pair_map.probe)}{memory}"


def map_title(pair_map: PairMap) -> str:
    """Return what a map is of: ``RDMA bandwidth, one way (write), 8 MiB, between hosts``."""
    if pair_map.figure is Figure.LOSS:
        return f"lost {pair_map.witness}"
    by = f" ({pair_map.operation})" if pair_map.operation is not None and pair_map.probe != REACH else ""
    size = "" if pair_map.size_bytes is None else f", {message_size(pair_map.size_bytes)}"
    memory = memory_words(pair_map.send_memory, pair_map.receive_memory)
    title = TITLES.get(pair_map.probe, pair_map.probe)
    return f"{pair_map.path.prefix}{title}{by}{memory}{size}, {WHERE[pair_map.scope]}"


def spread_title(spread: Spread) -> str:
    """Return what a distribution is of, without its size: ``RDMA latency, between hosts``."""
    memory = memory_words(spread.send_memory, spread.receive_memory)
    if spread.scope is Scope.WORLD:
        return f"{CARRIERS[spread.path]} {spread.probe}{memory}"
    return f"{CARRIERS[spread.path]} {SHORT.get(spread.probe, spread.probe)}{memory}, {WHERE[spread.scope]}"


def value_words(figure: Figure, value: float) -> str:
    """Return a value with its unit; of loss two digits, however small."""
    if figure is Figure.BANDWIDTH:
        return format_gbps(value)
    return duration(value) if figure is Figure.LATENCY else loss_words(value)


def loss_words(ratio: float) -> str:
    """Return ``none``, ``0.12 %`` or ``3.1e-06``."""
    if ratio == 0:
        return "none"
    return f"{100 * ratio:.2g} %" if ratio >= 1e-3 else f"{ratio:.1e}"


def against_typical(figure: Figure, value: float, typical: float | None) -> str:
    """Return ``33 % of typical`` for a rate, ``1.8 × typical`` for a latency; nothing for loss."""
    if not typical:
        return ""
    ratio = value / typical
    return f"{100 * ratio:.0f} % of typical" if figure is Figure.BANDWIDTH else f"{ratio:.2f} × typical"
