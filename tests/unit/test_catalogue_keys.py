"""Names of counters: what is written is what is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.catalogue.keys import DatagramKey, GpuKey, datagram_key_of, gpu_key_of, key_of

COUNTS = st.integers(min_value=0, max_value=1 << 40)


@given(peer=COUNTS, size_bytes=COUNTS, what=st.sampled_from(["sent", "received", "late", "stamped"]))
def test_what_a_rank_counts_is_read_as_it_was_written(peer, size_bytes, what):
    key = DatagramKey(peer=peer, size_bytes=size_bytes, what=what)

    assert datagram_key_of(str(key)) == key
    assert key_of(str(key)) is None


@given(st.text(alphabet="datagrm/0123456789-sent ", max_size=30))
def test_any_text_is_a_key_or_none(text):
    key = datagram_key_of(text)

    assert key is None or str(key).partition("/")[0] == "datagram"


@pytest.mark.parametrize("text", ["tcp/RetransSegs", "datagram/1/64", "datagram/x/64/sent", "datagram/1/64/sent/more"])
def test_other_counters_are_none_of_these(text):
    assert datagram_key_of(text) is None


def test_a_counter_of_a_gpu_is_named_by_its_address():
    key = GpuKey(pci="0000:18:00.0", name="nvlink_crc")

    assert str(key) == "gpu/0000:18:00.0/nvlink_crc"
    assert gpu_key_of(str(key)) == key
    assert key_of(str(key)) is None


@pytest.mark.parametrize("text", ["gpu/0000:18:00.0", "gpu//ecc", "gpu/0000:18:00.0/", "rdma/mlx5_0/1/x", "gpux/a/b"])
def test_what_is_no_counter_of_a_gpu_is_none(text):
    assert gpu_key_of(text) is None
