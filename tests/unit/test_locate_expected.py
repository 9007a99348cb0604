"""Which figure of a table fits a measurement, and what is told when none does."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.judge.expectations import load_expectations
from netprobe.locate.expected import Lack, Traits, better_with_more, cited, expectation_for, is_gpu, key_words
from netprobe.model.expectation import Expectation, Kind
from netprobe.model.plan import Memory, Path

SHIPPED = load_expectations()
STREAM = Traits(
    probe="bandwidth",
    path=Path.VERBS,
    memory=Memory.HOST,
    size_bytes=8 << 20,
    link_gbps=400.0,
    link_layer="Ethernet",
    queue_pairs=8,
)
OF_H100 = replace(STREAM, memory=Memory.DEVICE, gpu="NVIDIA H100 80GB HBM3")
ONE_HOST = Traits(
    probe="allreduce",
    path=Path.NCCL,
    memory=Memory.DEVICE,
    size_bytes=8 << 30,
    gpu="NVIDIA H100 80GB HBM3",
    gpus=8,
    hosts=1,
)
SITE = Expectation(
    probe="bandwidth",
    path=Path.VERBS,
    memory=Memory.HOST,
    kind=Kind.TYPICAL,
    source="ours",
    payload_bytes=1,
    line_ratio=0.5,
    is_site=True,
)


def figure(traits, table=SHIPPED):
    found = expectation_for(traits, table)
    assert isinstance(found, Expectation), found
    return found


def lack(traits, table=SHIPPED):
    found = expectation_for(traits, table)
    assert isinstance(found, Lack), found
    return found.what


@pytest.mark.parametrize(
    ("traits", "ratio"),
    [
        (STREAM, 0.90),
        (replace(STREAM, link_layer="InfiniBand"), 0.975),
        (replace(STREAM, link_layer="InfiniBand", link_gbps=200.0), 0.95),
        (replace(STREAM, link_gbps=800.0), 0.90),
        (replace(STREAM, queue_pairs=1), 0.71),
        (replace(STREAM, queue_pairs=7), 0.71),
        (OF_H100, 0.95),
        (replace(OF_H100, gpu="NVIDIA H200"), 0.90),
        (replace(OF_H100, gpu="NVIDIA A100-SXM4-80GB", link_gbps=200.0), 0.90),
        (replace(OF_H100, gpu="AMD Instinct MI300X"), 0.875),
    ],
)
def test_a_stream_has_the_share_of_its_gpu_link_and_queue_pairs(traits, ratio):
    assert figure(traits).line_ratio == ratio


@pytest.mark.parametrize(
    ("traits", "what"),
    [
        (replace(OF_H100, gpu="NVIDIA L40S"), "NVIDIA L40S"),
        (replace(OF_H100, gpu="NVIDIA H100 PCIe"), "NVIDIA H100 PCIe"),
        (replace(OF_H100, gpu=None), "GPUs whose names are not known, or not the same"),
        (replace(OF_H100, memory=None), "two ends with memory of two kinds"),
        (replace(OF_H100, memory=Memory.MANAGED), "bandwidth of managed memory over verbs"),
        (replace(OF_H100, link_gbps=100.0), "ports of 100 Gb/s"),
        (replace(OF_H100, link_gbps=None), "ports whose rate is not known, or not the same"),
        (replace(OF_H100, queue_pairs=1), "one queue pair (its figures hold from 8)"),
        (replace(OF_H100, size_bytes=1 << 20), "1M of bandwidth (its figures hold from 8M)"),
        (replace(STREAM, queue_pairs=1, link_gbps=200.0), "one queue pair (its figures hold from 8)"),
        (replace(STREAM, probe="bidirectional"), "bidirectional over verbs"),
        (replace(ONE_HOST, path=Path.MPI), "allreduce over mpi"),
        (replace(ONE_HOST, gpus=3), "3 GPUs on each host"),
        (replace(ONE_HOST, hosts=4), "4 hosts"),
        (replace(ONE_HOST, hosts=None), "hosts of which it is not known who took part"),
        (replace(ONE_HOST, hosts=2, nics=None), "hosts whose NICs are not known, or not as many"),
        (replace(ONE_HOST, hosts=2, nics=8, link_gbps=200.0), "ports of 200 Gb/s"),
        (replace(ONE_HOST, size_bytes=256 << 20), "256M of allreduce (its figures hold from 8G)"),
    ],
)
def test_what_the_table_lacks_is_the_first_trait_that_leaves_no_entry(traits, what):
    assert lack(traits) == what


def test_a_table_without_entries_lacks_everything():
    assert lack(STREAM, ()) == "bandwidth over verbs"


def test_a_figure_of_host_memory_is_never_that_of_gpu_memory():
    of_host = tuple(each for each in SHIPPED if each.memory is Memory.HOST)
    of_gpus = tuple(each for each in SHIPPED if each.memory is Memory.DEVICE)

    assert lack(OF_H100, of_host) == "bandwidth of GPU memory over verbs"
    assert lack(STREAM, of_gpus) == "bandwidth of host memory over verbs"


def test_an_entry_of_the_site_goes_before_all_that_say_more_of_the_system():
    assert figure(replace(STREAM, link_layer="InfiniBand"), (SITE, *SHIPPED)) is SITE


def test_more_queue_pairs_would_be_held_against_more():
    alone = replace(STREAM, queue_pairs=1)

    assert better_with_more(alone, SHIPPED, figure(alone)).line_ratio == 0.90
    assert better_with_more(STREAM, SHIPPED, figure(STREAM)) is None


@pytest.mark.parametrize(
    ("key", "name", "fits"),
    [
        ("H100", "NVIDIA H100 80GB HBM3", True),
        ("H100", "NVIDIA H100 PCIe", False),
        ("H100 PCIe", "NVIDIA H100 PCIe", True),
        ("H100", "NVIDIA H100 NVL", False),
        ("H100", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", False),
        ("H200", "NVIDIA GH200 480GB", False),
        ("A100", "NVIDIA A100-SXM4-80GB", True),
        ("A100", "NVIDIA A100-PCIE-40GB", False),
        ("b200", "NVIDIA B200", True),
    ],
)
def test_a_gpu_is_named_by_whole_words_and_a_card_with_other_links_is_another_gpu(key, name, fits):
    assert is_gpu(key, name) is fits


def test_an_entry_is_cited_with_its_key_and_its_source():
    entry = figure(OF_H100)

    assert key_words(entry) == "GPU memory, H100, 400 Gb/s, from 8 queue pairs, from 8M"
    assert cited(entry) == "gate of Azure/azurehpc-health-checks"
    assert cited(SITE) == "typical of this site: ours"


TRAITS = st.builds(
    Traits,
    probe=st.sampled_from(["bandwidth", "latency", "allreduce", "allgather", "bidirectional"]),
    path=st.sampled_from(list(Path)),
    memory=st.sampled_from([*Memory, None]),
    size_bytes=st.integers(1, 1 << 36),
    gpu=st.sampled_from([None, "NVIDIA H100 80GB HBM3", "NVIDIA H200", "NVIDIA A100-SXM4-40GB", "Tesla T4"]),
    gpus=st.sampled_from([None, 1, 4, 8]),
    hosts=st.sampled_from([None, 1, 2, 3]),
    nics=st.sampled_from([None, 1, 8]),
    link_gbps=st.sampled_from([None, 100.0, 200.0, 400.0]),
    link_layer=st.sampled_from([None, "InfiniBand", "Ethernet"]),
    queue_pairs=st.integers(1, 16),
)


@given(TRAITS)
def test_whatever_was_measured_has_a_figure_that_holds_for_it_or_a_reason_and_a_remedy(traits):
    found = expectation_for(traits, SHIPPED)

    if isinstance(found, Lack):
        assert found.what
        assert found.remedy
    else:
        assert (found.probe, found.path, found.memory) == (traits.probe, traits.path, traits.memory)
        assert found.queue_pairs <= traits.queue_pairs
        assert found.hosts in (None, traits.hosts)


@given(TRAITS, st.randoms())
def test_the_order_of_a_table_does_not_matter(traits, random):
    shuffled = list(SHIPPED)
    random.shuffle(shuffled)

    assert expectation_for(traits, shuffled) == expectation_for(traits, SHIPPED)
