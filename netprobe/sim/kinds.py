"""The kinds of faults that can be put into a simulated fabric: where, with which values, and what each changes.

Ranges are of what the field reports (docs/simulator.md); a file of faults may narrow or widen them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from netprobe.model.standing import Fate
from netprobe.sim import set_up
from netprobe.sim.condition import PCIE_GBPS, Condition
from netprobe.sim.fabric import Fabric
from netprobe.sim.places import Place, PlaceKind, places_of

Value = float | str
Values = Mapping[str, Any]
Apply = Callable[[Fabric, Condition, Place, Values, np.random.Generator], Place | None]
"""Changes a condition; returns a further place where the same fault shows, where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of fault."""

    place: PlaceKind
    values: Mapping[str, Value | tuple[Value, ...]]
    """What it takes, and from which range each is drawn where nobody says: two numbers, or words to choose from."""
    apply: Apply
    title: str


def _lossy_link(_fabric: Fabric, condition: Condition, at: Place, values: Values, _random: np.random.Generator) -> None:
    loss = condition.loss_in if values["direction"] == "in" else condition.loss_out
    loss[at.nics] = values["loss"]
    if values["counted"] == "no":
        condition.crc_in[at.nics] = False


def _lossy_uplink(_f: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.loss_up[at.number, at.spine] = values["loss"]


def _narrow_pcie(fabric: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    width, speed = (int(values["width"]), 32.0) if values["what"] == "width" else (16, float(values["speed_gtps"]))
    condition.pcie_gbps[at.nics] = PCIE_GBPS * width / 16 * speed / 32
    set_up.pci(fabric, condition, at, width=width, speed_gtps=speed)


def _slow_port(fabric: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    share = float(values["share"])
    if values["direction"] == "out":
        condition.sends_ratio[at.nics] = share
    elif values["direction"] == "in":
        condition.delivers_ratio[at.nics] = share
    else:
        condition.line_gbps[at.nics] *= share
    if values["told"] == "yes" and values["direction"] == "both":
        set_up.port(fabric, condition, at, rate_gbps=fabric.line_gbps * share)
        set_up.net(fabric, condition, at, speed_gbps=fabric.line_gbps * share)


def _swapped_cable(fabric: Fabric, condition: Condition, at: Place, _v: Values, random: np.random.Generator) -> Place:
    """Exchange the cables of a NIC and of another one, of its host where that has one on another leaf."""
    own = at.number
    others = np.flatnonzero(fabric.leaf != fabric.leaf[own])
    same_host = others[fabric.host[others] == fabric.host[own]]
    candidates = same_host if len(same_host) else others
    other = int(candidates[random.integers(len(candidates))])
    fabric.leaf[own], fabric.leaf[other] = int(fabric.leaf[other]), int(fabric.leaf[own])
    set_up.rewired(fabric, condition, (own, other))
    return places_of(PlaceKind.NIC, fabric)[other]


def _missing_nic(fabric: Fabric, condition: Condition, at: Place, _v: Values, _r: np.random.Generator) -> None:
    condition.missing[at.nics] = True
    set_up.without_nics(fabric, condition, at)
    condition.line_gbps[at.nics] /= 2  # its rank shares another NIC, over MPI


def _noisy_host(_f: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.stall_ratio[at.number] = values["stalls"]
    condition.stall_ns[at.number] = values["stall_ns"]
    taken = {"others": condition.waits_ratio, "quota": condition.throttled_ratio, "hypervisor": condition.stolen_ratio}
    taken[str(values["cause"])][at.number] = values["waits"]
    condition.arrives_ns[at.number] = values["stall_ns"] * values["waits"]


def _refuses(fabric: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.refuses.update(dict.fromkeys(at.nics.tolist(), str(values["error"])))
    if values["memlock_bytes"]:
        set_up.system(fabric, condition, at, memlock_bytes=int(values["memlock_bytes"]))


def _mtu_hole(_f: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.path_mtu[at.nics] = values["mtu_bytes"]


def _small_mtu(fabric: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    set_up.net(fabric, condition, at, mtu_bytes=int(values["mtu_bytes"]))


def _wrong_gid(fabric: Fabric, condition: Condition, at: Place, _v: Values, _r: np.random.Generator) -> None:
    condition.misaddressed[at.nics] = True
    set_up.gid_kind(fabric, condition, at, "IB/RoCE v1")


def _same_address(fabric: Fabric, condition: Condition, at: Place, _v: Values, _r: np.random.Generator) -> None:
    condition.misaddressed[at.nics] = True
    set_up.with_gid_of_next_host(fabric, condition, at)


def _wrong_queue(fabric: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.priority[at.nics] = 0
    set_up.qos(fabric, condition, at, trust=str(values["trust"]), dscp_to_priority=())


def _pause_priority(fabric: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.pause_priority[at.nics] = int(values["priority"])
    condition.unpaused[at.nics] = False
    condition.stopped_ratio[at.nics] += 0.002
    set_up.qos(fabric, condition, at, pfc_enabled=tuple(each == int(values["priority"]) for each in range(8)))


def _no_pfc(_f: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.unpaused[at.nics] = True
    condition.loses_loaded[at.nics] = values["loss"]


def _no_headroom(_f: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.loses_loaded[at.nics] = values["loss"]
    condition.stopped_ratio[at.nics] += values["stopped"]


def _no_congestion_control(
    fabric: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator
) -> None:
    off = (False,) * 8
    if values["point"] == "notification":
        condition.answers_marks[at.nics] = False
        set_up.ecn(fabric, condition, at, notification_point=off)
    else:
        condition.heeds_notifications[at.nics] = False
        set_up.ecn(fabric, condition, at, reaction_point=off)


def _storm(_f: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.pauses_idle[at.nics] = values["share"]


def _deadlock(_f: Fabric, condition: Condition, at: Place, values: Values, random: np.random.Generator) -> None:
    held = random.choice(at.nics, size=max(3, len(at.nics) // 8), replace=False)
    condition.held_after[held] = values["share"]


def _set(name: str, field: str) -> Apply:
    """Return what sets an array of the condition at a place to one of the values."""

    def apply(_f: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
        getattr(condition, field)[at.nics] = values[name]

    return apply


def _mark(field: str, value: object) -> Apply:
    def apply(_f: Fabric, condition: Condition, at: Place, _v: Values, _r: np.random.Generator) -> None:
        getattr(condition, field)[at.nics] = value

    return apply


def _hashed(_f: Fabric, condition: Condition, _at: Place, _v: Values, _r: np.random.Generator) -> None:
    condition.hashed = True


def _reorders(_f: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.reorders[at.nics] = True
    condition.sprayed_ratio = float(values["overtaken"])


def _lost_uplinks(_f: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.uplinks[at.number] *= 1 - values["lost"]


def _blocks(_f: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.blocks_ratio[at.number] = values["share"]


def _dead(_f: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.dead[at.number] = Fate(values["fate"])


def _corrupts(_f: Fabric, condition: Condition, at: Place, _v: Values, random: np.random.Generator) -> None:
    condition.corrupts.update((nic, int(random.integers(64))) for nic in at.nics.tolist())


def _isolated(fabric: Fabric, condition: Condition, at: Place, _v: Values, _r: np.random.Generator) -> None:
    own = set(at.nics.tolist())
    condition.cut.append((own, set(range(fabric.nics)) - own))


def _never_met(_f: Fabric, condition: Condition, _at: Place, values: Values, _r: np.random.Generator) -> None:
    condition.never_met = str(values["error"])


def _firmware(fabric: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    set_up.port(fabric, condition, at, firmware=str(values["firmware"]))


def _read_request(fabric: Fabric, condition: Condition, at: Place, values: Values, _r: np.random.Generator) -> None:
    set_up.pci(fabric, condition, at, max_read_request_bytes=int(values["bytes"]))
    condition.sends_ratio[at.nics] = values["sends"]


def _storage(_f: Fabric, condition: Condition, _at: Place, values: Values, _r: np.random.Generator) -> None:
    share = float(values["share"])
    if values["suffers"] == "all-reduces":
        condition.storage_slows_ratio = share
    else:
        condition.storage_starves_ratio = share


def _kind(title: str, place: PlaceKind, apply: Apply, **values: Value | tuple[Value, ...]) -> Kind:
    return Kind(title=title, place=place, values=values, apply=apply)


_nic, _host, _leaf, _fabric = (
    partial(_kind, place=place) for place in (PlaceKind.NIC, PlaceKind.HOST, PlaceKind.LEAF, PlaceKind.FABRIC)
)
DIRECTIONS: Final = ("in", "out")
KINDS: Final[Mapping[str, Kind]] = {
    "lossy-link": _nic("a link loses packets, towards the NIC or from it", apply=_lossy_link, direction=DIRECTIONS,
                       loss=(1e-5, 1e-2), counted=("yes",)),
    "lossy-leaf": _leaf("all links of a leaf lose packets", apply=_lossy_link, direction=("in",), loss=(1e-4, 1e-2),
                        counted=("yes", "no")),
    "lossy-uplink": _kind("a link between a leaf and a spine loses packets", PlaceKind.UPLINK, _lossy_uplink,
                          loss=(1e-4, 1e-2)),
    "corrected-bits": _nic("an optic corrects too many bits", apply=_set("ratio", "corrected_ratio"),
                           ratio=(2e-5, 1e-4)),
    "flapping-link": _nic("a link goes down and comes back", apply=_set("times", "link_downs"), times=(1.0, 4.0)),
    "slow-port": _nic("a port runs slower", apply=_slow_port, share=("0.25", "0.5", "0.33"), told=("yes", "no"),
                      direction=("both", "in", "out")),
    "swapped-cable": _nic("two cables are exchanged", apply=_swapped_cable),
    "missing-nic": _nic("a NIC is not there", apply=_missing_nic),
    "narrow-pcie": _nic("a NIC's PCIe link is narrower or slower", apply=_narrow_pcie, what=("width", "speed"),
                        width=("8", "4"), speed_gtps=("16", "8")),
    "noisy-host": _host("a host takes the CPU from its ranks", apply=_noisy_host, stalls=(0.02, 0.2),
                        stall_ns=(1e5, 4e6), waits=(0.08, 0.3), cause=("others", "quota", "hypervisor")),
    "other-firmware": _host("NICs of a host have another firmware", apply=_firmware, firmware=("28.36.1010",)),
    "small-read-request": _nic("a NIC may read less at once", apply=_read_request, bytes=("512", "256"),
                               sends=(0.7, 0.9)),
    "refused": _host("no queue pair can be made on a host", apply=_refuses, error=("Cannot allocate memory",),
                     memlock_bytes=65_536.0),
    "hung-nic": _nic("a NIC answers no command", apply=_refuses, error=("Connection timed out",), memlock_bytes=0.0),
    "mtu-hole": _nic("large packets do not pass a port", apply=_mtu_hole, mtu_bytes=(1_200.0, 4_000.0)),
    "small-mtu": _nic("an interface has a smaller MTU", apply=_small_mtu, mtu_bytes=1_500.0),
    "wrong-gid": _nic("a NIC has no address of RoCE v2 where the others have it", apply=_wrong_gid),
    "same-address": _nic("two NICs have one address", apply=_same_address),
    "wrong-queue": _host("traffic of a host goes into the wrong queue", apply=_wrong_queue, trust=("pcp",)),
    "no-pfc": _nic("the leaf's port does no flow control", apply=_no_pfc, loss=(1e-5, 1e-3)),
    "pause-priority": _host("flow control is on for another priority", apply=_pause_priority, priority=("4",)),
    "no-congestion-control": _host("congestion control is off", apply=_no_congestion_control,
                                   point=("notification", "reaction")),
    "no-marking": _fabric("switches mark nothing", apply=_mark("unmarked", True)),
    "no-headroom": _nic("the buffer behind a pause is too small", apply=_no_headroom, loss=(1e-5, 1e-3),
                        stopped=(0.001, 0.02)),
    "head-of-line": _leaf("a leaf holds back what comes from others while one of its ports is hot", apply=_blocks,
                          share=(0.4, 0.8)),
    "incast-collapse": _fabric("what many senders bring to one collapses", apply=_set("share", "collapses_ratio"),
                               share=(0.35, 0.7)),
    "storage-interference": _fabric("reads from storage and all-reduces are in each other's way", apply=_storage,
                                    suffers=("all-reduces", "reads"), share=(0.4, 0.7)),
    "isolated-leaf": _leaf("NICs of a leaf do not reach those of others over RDMA", apply=_isolated),
    "storm": _nic("a NIC stops its leaf all the time", apply=_storm, share=(0.05, 1.0)),
    "deadlock": _fabric("ports are held for good", apply=_deadlock, share=(0.2, 1.0)),
    "hashed": _fabric("flows keep to one uplink each, and collide", apply=_hashed),
    "reordering": _host("NICs take for lost what was overtaken", apply=_reorders, overtaken=(0.002, 0.05)),
    "lost-uplinks": _leaf("uplinks of a leaf are down", apply=_lost_uplinks, lost=(0.5, 0.9)),
    "foreign-traffic": _host("somebody else uses the NICs of a host",
                             apply=_set("gbps", "foreign_gbps"), gbps=(40.0, 300.0)),
    "dead-host": _host("a host dies in the middle of the run", apply=_dead,
                       fate=(Fate.UNREACHABLE.value, Fate.GONE.value)),
    "corruption": _nic("a NIC flips a bit of what it receives", apply=_corrupts),
    "nothing-starts": _fabric("no rank can be started", apply=_never_met,
                              error=("the launcher started no rank: Permission denied (publickey)",)),
    "clean": _fabric("nothing is wrong", apply=lambda *_: None),
}  # fmt: skip
"""By their names in files."""
