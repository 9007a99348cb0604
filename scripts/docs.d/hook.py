"""What mkdocs adds to docs/: pages made from the code, and files that lie elsewhere and are read as pages too."""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SEARCHING = "assets/iframe-worker.js"  # as mkdocs.yml names it
for place in (ROOT, Path(__file__).resolve().parent):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from docpages.pages import generated_pages, navigation_of_detectors  # noqa: E402 - found after the path is set
from docpages.places import elsewhere, relinked  # noqa: E402
from mkdocs.structure.files import File  # noqa: E402


def on_config(config: Any) -> Any:  # noqa: ANN401 - mkdocs has no types for hooks
    """Give every detector its place in the navigation."""
    section = next(each["What it finds"] for each in config.nav if "What it finds" in each)
    at = next(index for index, each in enumerate(section) if "Detectors" in each)
    section[at] = {"Detectors": navigation_of_detectors()}
    return config


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401
    """Add the pages that are in no file below docs/."""
    for name, text in {**generated_pages(), **elsewhere(ROOT)}.items():
        files.append(File.generated(config, name, content=text))
    files.append(File.generated(config, SEARCHING, abs_src_path=str(ROOT / "scripts/docs.d/vendor/iframe-worker.js")))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:  # noqa: ANN401
    """Lead links that leave docs/ to the page of the same file."""
    return relinked(markdown, f"docs/{page.file.src_uri}")
