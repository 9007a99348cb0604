"""What outputs of several tools say of one interface's flow control, gathered piece by piece."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from netprobe.model.inventory import PRIORITIES, EcnSettings, QosSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class QosReport:
    """Flow control of one interface, as a file tells it."""

    host: str | None
    """As its lines were prefixed."""
    netdev: str | None
    device: str | None
    """The RDMA device."""
    qos: QosSettings | None
    ecn: EcnSettings | None
    traffic_class: int | None
    """What the kernel forces on all queue pairs."""
    default_tos: int | None
    """Of queue pairs made by rdma_cm."""

    @property
    def is_empty(self) -> bool:
        """Whether it tells nothing but names."""
        return (self.qos, self.ecn, self.traffic_class, self.default_tos) == (None, None, None, None)


def unknown() -> list[bool | None]:
    """Return one unknown for each priority."""
    return [None] * PRIORITIES


@dataclass(slots=True, kw_only=True)
class Draft:
    """Everything that has been said so far."""

    netdev: str | None = None
    device: str | None = None
    lists: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """pfc_enabled, priority_to_buffer, buffer_bytes: eight numbers each."""
    contradicted: set[str] = field(default_factory=set)
    trust: str | None = None
    dscp_to_priority: dict[int, int] = field(default_factory=dict)
    classes: dict[int, tuple[str, int]] = field(default_factory=dict)
    """(algorithm, bandwidth in percent) by class."""
    class_of: dict[int, int] = field(default_factory=dict)
    """By priority."""
    notification_point: list[bool | None] = field(default_factory=unknown)
    reaction_point: list[bool | None] = field(default_factory=unknown)
    numbers: dict[str, int] = field(default_factory=dict)
    """cnp_dscp, cnp_priority, traffic_class, default_tos."""

    def tell(self, name: str, values: tuple[int, ...]) -> bool:
        """Note a list; False when it contradicts an earlier one: two outputs were mixed, and neither is kept."""
        if name in self.contradicted:
            return False
        if self.lists.setdefault(name, values) == values:
            return True
        del self.lists[name]
        self.contradicted.add(name)
        return False

    def report(self, host: str | None, origin: str) -> QosReport:
        """Return what was said."""
        return QosReport(
            host=host,
            netdev=self.netdev,
            device=self.device,
            qos=self._qos(origin),
            ecn=self._ecn(origin),
            traffic_class=self.numbers.get("traffic_class"),
            default_tos=self.numbers.get("default_tos"),
        )

    def _qos(self, origin: str) -> QosSettings | None:
        if not (self.lists or self.trust or self.dscp_to_priority or self.classes or self.class_of):
            return None
        pfc = self.lists.get("pfc_enabled")
        return QosSettings(
            pfc_enabled=None if pfc is None else tuple(map(bool, pfc)),
            trust=self.trust or ("dscp" if self.dscp_to_priority else None),
            dscp_to_priority=tuple(sorted(self.dscp_to_priority.items())),
            priority_to_class=_all_of(self.class_of),
            class_bandwidth_percent=_all_of({number: percent for number, (_, percent) in self.classes.items()}),
            class_algorithm=_all_of({number: algorithm for number, (algorithm, _) in self.classes.items()}),
            priority_to_buffer=self.lists.get("priority_to_buffer"),
            buffer_bytes=self.lists.get("buffer_bytes"),
            origin=origin,
        )

    def _ecn(self, origin: str) -> EcnSettings | None:
        cnp = self.numbers.get("cnp_dscp"), self.numbers.get("cnp_priority")
        if cnp == (None, None) and {None} == {*self.notification_point, *self.reaction_point}:
            return None
        return EcnSettings(
            notification_point=tuple(self.notification_point),
            reaction_point=tuple(self.reaction_point),
            cnp_dscp=cnp[0],
            cnp_priority=cnp[1],
            origin=origin,
        )


def _all_of(values: Mapping[int, T]) -> tuple[T, ...] | None:
    """Return values by index; None unless all eight are there."""
    return tuple(values[index] for index in range(PRIORITIES)) if set(values) == set(range(PRIORITIES)) else None
