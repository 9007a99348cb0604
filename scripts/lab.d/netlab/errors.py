"""What goes wrong with a lab, in one line with a remedy."""

from typing import Final

FAILED: Final = 3
"""Exit code: the lab could not do it."""
UNSUPPORTED: Final = 4
"""Exit code: this kernel or machine cannot do it."""


class LabError(Exception):
    """What went wrong, where, and what to try."""

    def __init__(self, message: str, *, remedy: str | None = None, exit_code: int = FAILED) -> None:
        super().__init__(f"{message}; try: {remedy}" if remedy else message)
        self.exit_code = exit_code


def refused(error: PermissionError) -> LabError:
    """Return what to say of something that this user may not do."""
    where = "" if error.filename is None else f"{error.filename}: "
    return LabError(f"{where}{error.strerror}; a lab needs root", remedy="sudo", exit_code=UNSUPPORTED)
