import pytest

from netprobe.errors import PlanError
from netprobe.judge.limits import load_limits
from netprobe.model.limits import Limits


@pytest.fixture
def limits_file(tmp_path):
    def write(text):
        path = tmp_path / "site.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_file_overrides_what_it_names_and_keeps_the_rest(limits_file):
    limits = load_limits(limits_file("host_loss_ratio = 0.08\njitter_floor_ns = 50_000  # a busy site\n"))

    assert (limits.host_loss_ratio, limits.jitter_floor_ns) == (0.08, 50_000.0)
    assert limits.pair_loss_ratio == Limits().pair_loss_ratio


def test_an_empty_file_changes_nothing(limits_file):
    assert load_limits(limits_file("")) == Limits()


def test_an_unknown_key_names_the_nearest_right_one(limits_file):
    with pytest.raises(PlanError, match=r"site\.toml: there is no limit called 'host_los_ratio'; try: host_loss_ratio"):
        load_limits(limits_file("host_los_ratio = 0.08"))


@pytest.mark.parametrize("value", ['"0.05"', "true", "[0.05]", "{ a = 1 }", "2026-01-01", "nan", "inf", "-0.1", "1.5"])
def test_a_value_that_is_no_share_names_file_and_key(limits_file, value):
    with pytest.raises(PlanError, match=r"site\.toml: host_loss_ratio .*try: host_loss_ratio = 0\.05"):
        load_limits(limits_file(f"host_loss_ratio = {value}"))


@pytest.mark.parametrize("text", ["host_loss_ratio 0.05", "= 3", "[", b"\xff\xfe\x00", "a = 1\na = 2"])
def test_what_is_no_toml_names_the_file_in_one_line(limits_file, text):
    with pytest.raises(PlanError, match=r"site\.toml") as caught:
        load_limits(limits_file(text))

    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PlanError, match=r"nowhere\.toml cannot be read"):
        load_limits(tmp_path / "nowhere.toml")


def test_a_folder_is_no_limits_file(tmp_path):
    with pytest.raises(PlanError, match="cannot be read"):
        load_limits(tmp_path)
