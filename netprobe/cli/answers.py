"""What the doctor says of one capability."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One line of the doctor's: a capability, whether it is there, and what was seen or what to do."""

    topic: str
    can: bool | None
    """None: not needed for what this host measures."""
    seen: str
    remedy: str = ""
