"""Files outside docs/ that are pages of the site, and links between the two, which work in the repository as well."""

import posixpath
import re
from pathlib import Path
from typing import Final

PAGES: Final = {
    "reports/README.md": "format.md",
    "CONTRIBUTING.md": "contributing.md",
    "kernels/README.md": "kernels.md",
    "CHANGELOG.md": "changes.md",
    "README.md": "index.md",
}
"""What lies elsewhere, and the page it is; the README is told by the first page, and is none itself."""
_LINK: Final = re.compile(r"(?<=\]\()([^)#\s:]+\.md)(?=[)#])")


def elsewhere(root: Path) -> dict[str, str]:
    """Return the pages of files outside docs/ by name."""
    return {
        page: relinked((root / file).read_text(encoding="utf-8"), file)
        for file, page in PAGES.items()
        if file != "README.md"
    }


def relinked(markdown: str, file: str) -> str:
    """Return the text of a file with links as the site has them, relative to the page that the file becomes.

    ``file`` is relative to the root of the project, as in ``docs/scale.md``.
    """
    page = page_of(file)

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(file), match[1]))
        return posixpath.relpath(page_of(target), posixpath.dirname(page) or ".")

    return _LINK.sub(link, markdown)


def page_of(file: str) -> str:
    """Return the page that a file of the project is."""
    return PAGES.get(file, file.removeprefix("docs/"))
