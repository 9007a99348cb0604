"""Plain text of the code as Markdown: what is no markup there must not become any."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

_SPECIAL: Final = re.compile(r"([\\*_<>\[\]#|])")
_CODE: Final = re.compile(r"(``[^`]+``|`[^`]+`)")


def prose(text: str) -> str:
    """Return paragraphs of plain text; what stands in backticks stays code."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(inline(" ".join(each.split())) for each in paragraphs)


def inline(text: str) -> str:
    """Return one line with everything escaped that Markdown would read as its own."""
    return "".join(
        f"`{part.strip('`')}`" if index % 2 else _SPECIAL.sub(r"\\\1", part)
        for index, part in enumerate(_CODE.split(text))
    )


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown already."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cell or '–' for cell in line)} |" for line in lines)
