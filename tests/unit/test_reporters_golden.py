"""reports/samples: what each reporter makes of six reports, letter by letter.

``NETPROBE_UPDATE_GOLDEN=1`` writes the files anew; look at the difference before you commit it.
"""

import os
import re
from pathlib import Path

import pytest
from sample_reports import SAMPLES

from netprobe.contracts import RenderOptions
from netprobe.registry import reporters

DIRECTORY = Path(__file__).parents[2] / "reports" / "samples"
TEXTS = {
    "report.json": ("json", RenderOptions()),
    "console.txt": ("console", RenderOptions()),
    "console-wide.txt": ("console", RenderOptions(width=120, verbose=True)),
    "report.md": ("markdown", RenderOptions()),
    "nccl-tests.txt": ("nccl-tests", RenderOptions()),
    "osu.txt": ("osu", RenderOptions()),
    "perftest.txt": ("perftest", RenderOptions()),
    "metrics.prom": ("prometheus", RenderOptions()),
    "junit.xml": ("junit", RenderOptions()),
    "report.sarif": ("sarif", RenderOptions()),
    "report.jsonl": ("jsonl", RenderOptions()),
    "healthy.hosts": ("hosts", RenderOptions()),
    "healthy.mpich": ("hosts-mpich", RenderOptions()),
    "healthy.openmpi": ("hosts-openmpi", RenderOptions()),
    "healthy.slurm": ("hosts-slurm", RenderOptions()),
    "drain.sh": ("drain", RenderOptions()),
    "page.html": ("html", RenderOptions()),
}
NOT_REVIEWED = re.compile(
    r'(?<=<style>).*?(?=</style>)|(?<=<script>).*?(?=</script>)|sha256-[^&]*|(?<=id="library">)[^<]*|(?<=id="words">)[^<]*',
    re.DOTALL,
)
"""Files of their own (reports/html), and what depends on the releases of plotly.js and zlib."""
RULES = re.compile(r'(?<="rules": \[).*?(?=\n {10}\])', re.DOTALL)
"""What detectors say of themselves, which is theirs to review."""
CLEAN_SUITE = re.compile(r'(<testsuite [^>]* failures="0" [^>]*>).*?(?=\n  </testsuite>)', re.DOTALL)


def reviewed(format, text):
    """Return the text without what nobody would read again in each sample."""
    if format == "html":
        return NOT_REVIEWED.sub("…", text)
    if format == "sarif":
        return RULES.sub("…", text)
    if format == "junit":
        first = CLEAN_SUITE.search(text)
        end = len(text) if first is None else first.end()
        return text[:end] + CLEAN_SUITE.sub(r"\1…", text[end:])  # one suite without a failure is like another
    return text


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_report_reads_as_it_was_reviewed(sample, name):
    format, options = TEXTS[name]
    file = DIRECTORY / sample / name

    text = reporters()[format].render(SAMPLES[sample](), options)
    text = reviewed(format, text)

    if os.environ.get("NETPROBE_UPDATE_GOLDEN") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_every_reporter_has_its_samples():
    assert {format for format, _ in TEXTS.values()} == set(reporters())


def test_no_sample_is_left_that_nobody_makes():
    assert {path.relative_to(DIRECTORY).as_posix() for path in DIRECTORY.rglob("*.*")} == {
        f"{sample}/{name}" for sample in SAMPLES for name in TEXTS
    }
