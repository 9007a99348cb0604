"""Run a command in a guest, from its first boot to the files that it leaves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from netlab.errors import LabError

from rdmalab.qemu import Machine, started
from rdmalab.watch import Course, Relay, follow

TRIES: Final = 3
"""A kernel on several emulated processors dies once in some hundred boots, before the command has begun."""
TOO_LATE: Final = 124
"""Exit code when the command takes too long, as of timeout(1)."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that has come to an end."""

    code: int
    boot_s: float
    """From the first try on."""
    tries: int
    hosts_s: float
    command_s: float

    def __str__(self) -> str:
        tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
        return (
            f"exit {self.code} · boot {self.boot_s:.1f} s ({tries}) · hosts {self.hosts_s:.1f} s"
            f" · command {self.command_s:.1f} s"
        )


def run(machine: Machine, initramfs: bytes, *, limit_s: float, relay: Relay, tell: Tell) -> Done:
    """Run the command that an initramfs holds; LabError when the guest does not live to its end."""
    courses: list[Course] = []
    while len(courses) < TRIES:
        with started(machine, initramfs) as guest:
            course = follow(guest, limit_s, relay)
        courses.append(course)
        if course.failure is not None:
            raise LabError(f"the hosts cannot be set up: {course.failure}", remedy="rdma-lab fetch, and again")
        if course.ready_s is not None:
            return _done(courses, limit_s, tell)
        tell(f"the guest did not boot (try {len(courses)} of {TRIES}): {course.last_words()}")
    raise LabError(f"the guest does not boot: {courses[-1].last_words()}", remedy="rdma-lab fetch, and again")


def _done(courses: list[Course], limit_s: float, tell: Tell) -> Done:
    last = courses[-1]
    if last.up_s is None or last.ready_s is None:
        raise ValueError("the command has not begun")
    if last.is_late:
        tell(f"the command took more than {limit_s:g} s; try: --timeout {2 * limit_s:g}")
        ended_s, code = last.ready_s + limit_s, TOO_LATE
    elif last.ended_s is None or last.code is None:
        raise LabError(f"the guest died while the command ran: {last.last_words()}", remedy="again")
    else:
        ended_s, code = last.ended_s, last.code
    return Done(
        code=code,
        boot_s=last.up_s - courses[0].started_s,
        tries=len(courses),
        hosts_s=last.ready_s - last.up_s,
        command_s=ended_s - last.ready_s,
    )
