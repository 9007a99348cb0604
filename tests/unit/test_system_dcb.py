"""The kernel's reply about DCB, byte by byte, and that no bytes stop the one who reads it."""

import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import FormatError
from netprobe.model.inventory import QosSettings
from netprobe.system.dcb import request_of, settings_of

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the bytes below are little-endian")

REQUEST_FOR_ETH0 = bytes.fromhex(
    "20000000 4e00 0100 00000000 00000000"  # 32 bytes, RTM_GETDCB, NLM_F_REQUEST
    "00 15 0000"  # DCB_CMD_IEEE_GET
    "0900 0100 6574683000 000000"  # DCB_ATTR_IFNAME: "eth0", padded
)
PFC_ON_3 = bytes.fromhex("8c00 0200 08 08 00 00 0000 0000") + bytes(128)
ETS = bytes.fromhex(
    "3f00 0100 00 08 00"  # 63 bytes; not willing, eight classes
    "0a 00 00 5a 00 00 00 00"  # class 0 sends 10 %, class 3 90 %
    "00 00 00 00 00 00 00 00"
    "02 00 00 02 00 00 00 ff"  # ets, strict, …, vendor
    "00 00 00 03 00 00 06 00"  # priority 3 into class 3, 6 into 6
    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    "00"  # padding
)
APPS = bytes.fromhex(
    "1c00 0380"  # nested
    "0800 0100 05 03 1a00"  # DSCP 26 into priority 3
    "0800 0100 05 06 3000"  # DSCP 48 into priority 6
    "0800 0100 01 02 1589"  # an Ethernet type: not ours
)
NO_APPS = bytes.fromhex("0400 0380")
BUFFERS = bytes.fromhex("3000 0a00 00 00 00 01 00 00 00 00") + struct.pack("<9I", 20016, 156096, *[0] * 6, 262016)
TRUST_PCP = bytes.fromhex("0c00 0b80 0500 0200 ff 000000")
TRUST_DSCP = bytes.fromhex("1400 0b80 0500 0200 ff 000000 0500 0100 05 000000")


def reply(*ieee: bytes, kind: int = 78) -> bytes:
    inner = b"".join(ieee)
    body = bytes.fromhex("00 15 0000 0900 0100 6574683000 000000") + struct.pack("<HH", 4 + len(inner), 0x800D) + inner
    return struct.pack("<IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_the_request_is_what_the_kernel_expects():
    assert request_of("eth0") == REQUEST_FOR_ETH0


def test_pfc_on_priority_3_is_told():
    settings = settings_of(reply(PFC_ON_3, NO_APPS))

    assert settings.pfc_enabled == (False, False, False, True, False, False, False, False)
    assert settings.trust == "pcp"
    assert settings.priority_to_class is None


def test_a_whole_reply_is_told():
    assert settings_of(reply(ETS, PFC_ON_3, APPS, BUFFERS)) == QosSettings(
        pfc_enabled=(False, False, False, True, False, False, False, False),
        trust="dscp",
        dscp_to_priority=((26, 3), (48, 6)),
        priority_to_class=(0, 0, 0, 3, 0, 0, 6, 0),
        class_bandwidth_percent=(10, 0, 0, 90, 0, 0, 0, 0),
        class_algorithm=("ets", "strict", "strict", "ets", "strict", "strict", "strict", "vendor"),
        priority_to_buffer=(0, 0, 0, 1, 0, 0, 0, 0),
        buffer_bytes=(20016, 156096, 0, 0, 0, 0, 0, 0),
    )


def test_a_table_of_trust_outranks_the_entries():
    assert settings_of(reply(PFC_ON_3, APPS, TRUST_PCP)).trust == "pcp"
    assert settings_of(reply(PFC_ON_3, NO_APPS, TRUST_DSCP)).trust == "dscp"


def test_without_a_table_of_applications_trust_is_not_known():
    assert settings_of(reply(PFC_ON_3)).trust is None


def test_a_driver_that_tells_nothing_has_no_settings():
    assert settings_of(reply(NO_APPS)) is None


def test_of_two_entries_for_a_dscp_the_higher_counts():
    twice = bytes.fromhex("1400 0380 0800 0100 05 04 1a00 0800 0100 05 03 1a00")

    assert settings_of(reply(twice)).dscp_to_priority == ((26, 4),)


def test_an_error_is_no_settings():
    assert settings_of(struct.pack("<IHHIIi", 20, 2, 0, 0, 0, -95)) is None


@pytest.mark.parametrize("length", [0, 15, 16, 20, 40, 60, 100])
def test_a_reply_that_breaks_off_is_one_error(length):
    with pytest.raises(FormatError):
        settings_of(reply(PFC_ON_3)[:length])


def test_an_attribute_that_breaks_off_is_one_error():
    with pytest.raises(FormatError):
        settings_of(reply(bytes.fromhex("0500 0200 08")))


def settings_or_error(data: bytes) -> None:
    try:
        settings = settings_of(data)
    except FormatError:
        return
    assert settings is None or isinstance(settings, QosSettings)


@given(data=st.binary(max_size=300))
def test_no_bytes_stop_the_reader(data):
    settings_or_error(data)


@given(data=st.binary(max_size=200))
def test_no_attributes_stop_the_reader(data):
    settings_or_error(reply(data))


@given(st.lists(st.sampled_from([PFC_ON_3, ETS, APPS, BUFFERS, TRUST_DSCP])), st.integers(0, 400), st.integers(0, 255))
def test_no_damaged_byte_stops_the_reader(parts, place, byte):
    data = bytearray(reply(*parts))
    data[place % len(data)] = byte
    settings_or_error(bytes(data))
