"""What RDMA devices count is read without loss, and what they do not tell is absent."""

import re
import shutil
import tempfile
from pathlib import Path

import pytest
from host_trees import RDMA, recorded, write
from hypothesis import example, given
from hypothesis import strategies as st

from netprobe.catalogue.keys import Origin, key_of
from netprobe.catalogue.lookup import is_told
from netprobe.system.files import LARGEST_COUNT
from netprobe.system.here import recorded_system
from netprobe.telemetry import rdma
from netprobe.units import NS_PER_MS

RECORDED = ("mlx5", "hfi1", "mlx4", "mlx5-h100")
COUNTER = re.compile(rf"{RDMA}/(?P<device>[^/]+)/(ports/(?P<port>\d+)/)?(hw_)?counters/(?P<name>.+)")
PORT = f"{RDMA}/mlx5_0/ports/1"


def everything(name):
    return True


def counted(name):
    """Return what a recorded host counted, by netprobe's names; all its devices that count as a whole have one port."""
    found = ((COUNTER.fullmatch(path), value) for path, value in recorded(name))
    return {f"rdma/{path['device']}/{path['port'] or 1}/{path['name']}": int(value) for path, value in found if path}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_host_is_read_without_loss(name, tmp_path):
    system = recorded_system(write(tmp_path, dict(recorded(name))))

    assert counted(name)
    assert rdma.read(system, everything) == counted(name)


@pytest.mark.parametrize("name", RECORDED)
def test_what_the_catalogue_knows_to_tell_nothing_is_not_read(name, tmp_path):
    system = recorded_system(write(tmp_path, dict(recorded(name))))
    told = {key: value for key, value in counted(name).items() if is_told(Origin.RDMA, key_of(key).name)}

    assert rdma.SOURCE.read(system) == told
    assert "lifespan" not in {key_of(key).name for key in told}


def test_names_with_commas_and_counters_of_the_device_are_read(tmp_path):
    counters = rdma.read(recorded_system(write(tmp_path, dict(recorded("hfi1-file-list")))), everything)

    assert counters == counted("hfi1-file-list")
    assert {"rdma/hfi1_0/1/SwLinkUp,32", "rdma/hfi1_0/1/RcSeqNak", "rdma/hfi1_0/1/TxLinkdownErr"} <= counters.keys()


def test_what_a_device_with_several_ports_counts_is_of_none_of_them(tmp_path):
    files = {f"{RDMA}/x_0/ports/{port}/counters/symbol_error": port for port in (1, 2)}
    system = recorded_system(write(tmp_path, {**files, f"{RDMA}/x_0/hw_counters/sent_cnps": 7}))

    assert rdma.read(system, everything) == {
        "rdma/x_0/1/symbol_error": 1,
        "rdma/x_0/2/symbol_error": 2,
        "rdma/x_0/0/sent_cnps": 7,
    }


def test_a_port_knows_better_than_its_device(tmp_path):
    system = recorded_system(write(tmp_path, {f"{PORT}/hw_counters/x": 1, f"{RDMA}/mlx5_0/hw_counters/x": 2}))

    assert rdma.read(system, everything) == {"rdma/mlx5_0/1/x": 1}


@pytest.mark.parametrize(
    "content",
    ["N/A (no PMA)", "", "-1", "0x10", "1.5", "1 2", f"{2**64 - 1}", f"{LARGEST_COUNT + 1}", b"\xff\x00", "9" * 4096],
)
def test_what_is_no_count_is_absent_and_not_zero(content, tmp_path):
    write(tmp_path, {f"{PORT}/counters/symbol_error": content, f"{PORT}/counters/link_downed": 3})

    assert rdma.read(recorded_system(tmp_path), everything) == {"rdma/mlx5_0/1/link_downed": 3}


def test_a_file_that_cannot_be_read_is_absent(tmp_path):
    write(tmp_path, {f"{PORT}/counters/link_downed": 3})
    (tmp_path / PORT / "counters/power").mkdir()
    (tmp_path / PORT / "counters/fails").symlink_to("/proc/self/mem")  # reading its beginning ends with EIO
    (tmp_path / PORT / "counters/gone").symlink_to("nowhere")
    (tmp_path / PORT / "hw_counters").write_text("no folder")

    assert rdma.read(recorded_system(tmp_path), everything) == {"rdma/mlx5_0/1/link_downed": 3}


def test_a_device_that_vanishes_between_listing_and_reading_is_absent(tmp_path):
    system = recorded_system(write(tmp_path, dict(recorded("mlx5-h100"))))

    def pulls_one_out(name):
        shutil.rmtree(tmp_path / RDMA / "mlx5_1", ignore_errors=True)
        return True

    assert {key_of(key).device for key in rdma.read(system, pulls_one_out)} == {"mlx5_0", "mlx5_bond_0"}

    def pulls_all_out(name):
        shutil.rmtree(tmp_path / RDMA, ignore_errors=True)
        return True

    assert rdma.read(system, pulls_all_out) == {}


def test_an_excluded_device_is_not_looked_into(tmp_path):
    write(tmp_path, {f"{RDMA}/{device}/ports/1/counters/of_{device}": 1 for device in ("mlx5_0", "mlx5_4")})
    asked = []

    counters = rdma.read(recorded_system(tmp_path, excluded=["mlx5_4"]), lambda name: asked.append(name) or True)

    assert asked == ["of_mlx5_0"]
    assert counters == {"rdma/mlx5_0/1/of_mlx5_0": 1}


@pytest.mark.parametrize("name", [b"odd\xff", b"two\nlines", b"bell\x07"])
def test_a_name_that_cannot_be_printed_is_left_out(name, tmp_path):
    folder = write(tmp_path, {f"{PORT}/counters/link_downed": 3}) / PORT / "counters"
    Path(bytes(folder).decode() + "/" + name.decode(errors="surrogateescape")).write_text("1\n")

    assert rdma.read(recorded_system(tmp_path), everything) == {"rdma/mlx5_0/1/link_downed": 3}


def test_counters_are_up_to_date_after_the_longest_lifespan_of_a_port(tmp_path):
    assert rdma.SOURCE.settling_ns(recorded_system(tmp_path)) == 0

    system = recorded_system(write(tmp_path, dict(recorded("mlx5-h100"))))
    assert rdma.SOURCE.settling_ns(system) == 12 * NS_PER_MS + rdma.AFTER_LIFESPAN_NS

    write(tmp_path, {f"{RDMA}/mlx5_1/ports/1/hw_counters/lifespan": 50})
    assert rdma.SOURCE.settling_ns(system) == 50 * NS_PER_MS + rdma.AFTER_LIFESPAN_NS


def test_a_lifespan_that_is_not_told_is_the_kernels_default(tmp_path):
    write(tmp_path, {f"{PORT}/hw_counters/out_of_buffer": 0, f"{PORT}/hw_counters/lifespan": "N/A"})
    assert rdma.SOURCE.settling_ns(recorded_system(tmp_path)) == 10 * NS_PER_MS + rdma.AFTER_LIFESPAN_NS

    write(tmp_path, {f"{PORT}/hw_counters/lifespan": "9" * 18})
    assert rdma.SOURCE.settling_ns(recorded_system(tmp_path)) == 10_000 * NS_PER_MS + rdma.AFTER_LIFESPAN_NS


def test_a_host_without_hardware_counters_answers_at_once(tmp_path):
    assert rdma.SOURCE.settling_ns(recorded_system(write(tmp_path, dict(recorded("hfi1"))))) == 0


@given(content=st.binary(max_size=80))
@example(content=b"\x1c0")
def test_any_bytes_are_a_count_or_absent(content):
    with tempfile.TemporaryDirectory() as folder:
        counters = rdma.read(
            recorded_system(write(Path(folder), {f"{PORT}/counters/symbol_error": content})), everything
        )

    assert set(counters) <= {"rdma/mlx5_0/1/symbol_error"}
    assert all(int(content) == count and 0 <= count <= LARGEST_COUNT for count in counters.values())


@given(count=st.integers(0, LARGEST_COUNT))
def test_every_count_that_can_be_stored_is_read(count):
    with tempfile.TemporaryDirectory() as folder:
        system = recorded_system(write(Path(folder), {f"{PORT}/counters/port_rcv_data": count}))

        assert rdma.read(system, everything) == {"rdma/mlx5_0/1/port_rcv_data": count}
