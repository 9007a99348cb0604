"""All pages that are made from the code."""

from docpages.detectors import all_detectors, detector_page, detectors_page, limits_page
from docpages.metrics import metrics_page


def generated_pages() -> dict[str, str]:
    """Return the pages by their name below docs/."""
    return {
        "detectors/index.md": detectors_page(),
        **{f"detectors/{each.id}.md": detector_page(each) for each in all_detectors().values()},
        "limits.md": limits_page(),
        "metrics.md": metrics_page(),
    }


def navigation_of_detectors() -> list[dict[str, str]]:
    """Return the entries of the navigation, as mkdocs.yml writes them."""
    return [{"All": "detectors/index.md"}, *({name: f"detectors/{name}.md"} for name in all_detectors())]
