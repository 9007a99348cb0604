"""The page: whole without a script, nothing fetched, nothing obeyed that another machine sent, and never too large."""

import base64
import gzip
import hashlib
import html
import json
import re
import sys
import zlib
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from exhibit_samples import bandwidth_map, exhibits, hostile_report, places
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sample_reports import SAMPLES, healthy_laptop, report, slow_link

from netprobe.contracts import RenderOptions
from netprobe.errors import UnavailableError
from netprobe.registry import reporters
from netprobe.reporters._colours import LEVELS, NOT_MEASURED, levels_of, palette
from netprobe.reporters._payload import ABSENT_CODE, ZERO_CODE, Payload, coded
from netprobe.reporters._png import indexed_png
from netprobe.reporters._sparkline import regrouped, sparkline
from netprobe.reporters._svg import bars

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; background:url(http://evil.example/)",
    "{{ 7 * 7 }}{% raw %}",
    "node\u202eedon",
    "node\x1b[31mred\nHEALTHY",
    "h" * 10_000,
)


def page(given_report, **options):
    return reporters()["html"].render(given_report, RenderOptions(**options))


def block(text, name):
    return re.search(rf'<script type="text/plain" id="{name}">(.*?)</script>', text)[1]


def words(text):
    return json.loads(gzip.decompress(base64.b64decode(block(text, "words"))))


class Tags(HTMLParser):
    """Collects the tags of a page, and its text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._inside = [], "", None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text += data


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_page_says_all_of_every_finding_in_words(sample):
    given_report = SAMPLES[sample]()

    text = Tags(page(given_report)).text

    assert given_report.verdict.value in text
    for finding in given_report.findings:
        assert all(said in text for said in (finding.summary, finding.next_action, finding.retest or ""))
    for gap in (*given_report.gaps, *given_report.not_tested):
        assert gap.reason in text


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name[:12].encode("unicode_escape").decode())
def test_a_hostile_name_is_text_wherever_it_is_told(name):
    plain, attacked = page(report(("node01", "node02")), exhibits=exhibits()), page(
        hostile_report(name), exhibits=exhibits(name=name.replace("{", "(").replace("}", ")") + "{}")
    )  # fmt: skip
    tags = Tags(attacked)

    scripts = [attributes for tag, attributes in tags.tags if tag == "script"]
    assert len(scripts) == sum(tag == "script" for tag, _ in Tags(plain).tags)
    assert not any(key.startswith("on") for _, attributes in tags.tags for key in attributes)
    assert all(attributes["src"].startswith("data:image/png") for tag, attributes in tags.tags if tag == "img")
    assert not {"\u202e", "\x1b"} & set(attacked)
    assert "49" not in tags.text.partition("Re-test")[0] or "{{" not in name


def test_a_page_names_no_address_and_its_policy_allows_none():
    text = page(slow_link(), exhibits=exhibits())
    tags = Tags(text)

    policy = next(attributes["content"] for _, attributes in tags.tags if attributes.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "unsafe-inline" not in policy.partition("style-src")[0]
    assert "unsafe-eval" not in policy
    addresses = [each.get(key, "") for _, each in tags.tags for key in ("src", "href", "action")]
    assert not [address for address in addresses if address and not address.startswith(("#", "data:"))]


def test_the_policy_lets_just_the_scripts_of_the_page_run():
    text = page(slow_link(), exhibits=exhibits())
    allowed = set(re.findall(r"'sha256-([^']+)'", html.unescape(text)))

    own = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    library = gzip.decompress(base64.b64decode(block(text, "library")))

    hashes = {base64.b64encode(hashlib.sha256(each).digest()).decode() for each in (own[0].encode(), library)}
    assert len(own) == 1
    assert allowed == hashes


def test_a_report_alone_makes_a_page_without_maps():
    text = Tags(page(replace(healthy_laptop(), groups=()))).text

    assert "Pairs" not in text
    assert "Latencies" not in text
    assert "thinkpad" in text


def test_the_same_run_makes_the_same_page():
    assert page(slow_link(), exhibits=exhibits()) == page(slow_link(), exhibits=exhibits())


def test_what_a_page_lacks_is_one_line_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)

    with pytest.raises(UnavailableError, match=r"jinja2.*pip install 'netprobe\[html\]'"):
        page(slow_link())


def test_a_small_map_is_a_table_with_its_values_and_a_large_one_a_picture():
    small, large = (page(slow_link(), exhibits=exhibits(hosts=hosts)) for hosts in (3, 20))

    assert '<table class="heat">' in small
    assert "data:image/png" not in small
    assert '<table class="heat">' not in large
    assert large.count("data:image/png") == 3


def test_the_slowest_pairs_are_told_with_their_way_back():
    text = page(slow_link(), exhibits=exhibits())

    assert re.search(r"<td>host2 mlx5_\d</td><td>host\d mlx5_\d</td><td class=\"n\">120 Gb/s</td>", text)
    assert "380 Gb/s" in text


def test_the_script_gets_every_value_to_three_digits():
    text = page(slow_link(), exhibits=exhibits())
    told = words(text)
    grid = told["maps"][0]["views"][1]
    count = len(told["axes"][1]["names"])

    body = gzip.decompress(base64.b64decode(block(text, f"block-{grid['block']}")))
    codes = np.frombuffer(body, dtype="<u2", count=count * count).reshape(count, count)
    levels = np.frombuffer(body, dtype="u1", offset=2 * count * count)

    assert codes[0, 1] == ABSENT_CODE  # the same host
    assert np.exp(grid["low"] + codes[0, 2] * grid["step"]) == pytest.approx(380, rel=1e-3)
    assert np.exp(grid["low"] + codes[5, 0] * grid["step"]) == pytest.approx(120, rel=1e-3)
    assert len(levels) == count * count
    assert set(levels[[1, 2]].tolist()) == {NOT_MEASURED, 0}


def test_maps_of_64_hosts_with_8_nics_in_all_ways_of_measuring_make_less_than_6_mb():
    ranks = 512
    src, dst = np.nonzero(~np.eye(ranks, dtype=bool))
    value = np.random.default_rng(0).uniform(1.0, 400.0, len(src))  # what compresses worst
    dense = replace(bandwidth_map([(0, 1, 1.0)]), src=src, dst=dst, value=value, typical=380.0)

    text = page(slow_link(), exhibits=exhibits(places=places(64, 8), maps=(dense,) * 7))

    assert len(text.encode()) < 6_000_000
    views = [each["views"] for each in words(text)["maps"]]
    assert all(each[0] is not None for each in views)
    assert views[0][1] is not None
    assert views[-1][1] is None  # no room any more, and the script says so


def test_counters_that_nobody_read_are_told_as_neither_good_nor_bad():
    text = Tags(page(slow_link(), exhibits=exhibits(growths=(), ports_read=0, counted_stages=()))).text

    assert "no counters of NICs were read, so they tell neither good nor bad" in text


def test_a_stage_in_which_nothing_was_read_has_no_bar_and_no_zero():
    drawn = bars((0.0, 12.0, None), logarithmic=False, titles=("a: 0", "b: 12", "c: –"))

    assert drawn.count("<rect") == 2
    assert drawn.count('class="unknown"') == 1


def test_a_picture_holds_the_colour_of_each_cell():
    pixels = np.array([[0, NOT_MEASURED], [LEVELS - 1, 5]], dtype=np.uint8)

    picture = indexed_png(pixels, palette())

    body = picture.split(b"IDAT", 1)[1]
    rows = np.frombuffer(zlib.decompressobj().decompress(body), dtype=np.uint8).reshape(2, 3)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert rows[:, 1:].tolist() == pixels.tolist()
    assert bytes(palette()[0]) in picture


def test_levels_keep_absent_cells_apart():
    assert levels_of(np.array([np.nan, 0.0, 0.5, 1.0])).tolist() == [NOT_MEASURED, 0, 32, LEVELS - 1]


def test_a_payload_that_is_full_takes_no_more():
    payload = Payload(100)

    assert payload.add(np.zeros(8, dtype=np.uint8)) == 0
    assert payload.add(np.random.default_rng(0).integers(0, 255, 400).astype(np.uint8)) is None
    assert len(payload.blocks) == 1


@given(
    hnp.arrays(np.float64, st.integers(0, 40), elements=st.one_of(st.just(0.0), st.just(np.nan), st.floats(1e-9, 1e9)))
)
def test_values_survive_their_codes(values):
    codes, low, step = coded(values)

    is_known = codes < ZERO_CODE
    assert np.allclose(np.exp(low + codes[is_known] * step), values[is_known], rtol=6e-4)
    assert ((codes == ZERO_CODE) == (values == 0)).all()
    assert ((codes == ABSENT_CODE) == np.isnan(values)).all()


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60), st.booleans())
def test_a_sparkline_is_blank_just_where_there_is_nothing(counts, logarithmic):
    line = sparkline(counts, logarithmic=logarithmic)

    assert len(line) == len(counts)
    assert [each == " " for each in line] == [count == 0 for count in counts]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(1, 30))
def test_regrouped_counts_lose_nothing(counts, width):
    grouped = regrouped(counts, width)

    assert len(grouped) <= width
    assert sum(grouped) == sum(counts)
