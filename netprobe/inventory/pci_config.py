"""What a PCI device's configuration space tells; all but its first 64 bytes can only be read by root.

PCI Express Base Specification, 7.5.3 (PCI Express capability) and 7.7.11 (access control services); Linux names the
fields in include/uapi/linux/pci_regs.h.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

READABLE_BY_ALL_BYTES: Final = 64
EXTENDED_AT: Final = 0x100
WHOLE_BYTES: Final = 4096

_STATUS, _HAS_CAPABILITIES = 0x06, 0x10
_FIRST_CAPABILITY = 0x34
_PCI_EXPRESS, _DEVICE_CONTROL = 0x10, 0x08
_ACCESS_CONTROL, _ACCESS_CONTROL_SETTINGS = 0x0D, 0x06
_REDIRECTS: Final = 0x04 | 0x08 | 0x10  # requests, completions, upstream forwarding
_MOST_CAPABILITIES: Final = 48  # the chain of a broken device may be a circle
_MOST_EXTENDED: Final = (WHOLE_BYTES - EXTENDED_AT) // 8
_SMALLEST_READ_BYTES, _LARGEST_READ_CODE = 128, 5


def max_read_request_bytes(config: bytes) -> int | None:
    """Return the largest read that a device may ask of memory at once; None when it is not known."""
    found = next((at for kind, at in _capabilities(config) if kind == _PCI_EXPRESS), None)
    control = None if found is None else _word(config, found + _DEVICE_CONTROL)
    if control is None or (code := control >> 12 & 7) > _LARGEST_READ_CODE:
        return None
    return _SMALLEST_READ_BYTES << code


def redirects_peers(config: bytes) -> bool | None:
    """Return whether a bridge sends traffic between the devices below it up to the root; None when it is not known."""
    if len(config) < WHOLE_BYTES:
        return None
    found = next((at for kind, at in _extended(config) if kind == _ACCESS_CONTROL), None)
    control = None if found is None else _word(config, found + _ACCESS_CONTROL_SETTINGS)
    return bool((control or 0) & _REDIRECTS)


def _capabilities(config: bytes) -> Iterator[tuple[int, int]]:
    """Yield (kind, where) of the capabilities that could be read."""
    if len(config) <= READABLE_BY_ALL_BYTES or not (_word(config, _STATUS) or 0) & _HAS_CAPABILITIES:
        return
    yield from islice(_chain(config), _MOST_CAPABILITIES)


def _chain(config: bytes) -> Iterator[tuple[int, int]]:
    at = config[_FIRST_CAPABILITY] & ~3
    while at >= READABLE_BY_ALL_BYTES and (header := _word(config, at)) is not None:
        yield header & 0xFF, at
        at = header >> 8 & ~3


def _extended(config: bytes) -> Iterator[tuple[int, int]]:
    yield from islice(_extended_chain(config), _MOST_EXTENDED)


def _extended_chain(config: bytes) -> Iterator[tuple[int, int]]:
    at = EXTENDED_AT
    while at >= EXTENDED_AT and (kind := _word(config, at)) is not None and (rest := _word(config, at + 2)) is not None:
        yield kind, at
        at = rest >> 4 & ~3


def _word(config: bytes, at: int) -> int | None:
    """Return 16 bits, little-endian; None behind the end."""
    return int.from_bytes(config[at : at + 2], "little") if at + 2 <= len(config) else None
