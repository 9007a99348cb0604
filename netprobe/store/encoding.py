"""Records as JSON text: compact for the wire, one element a line for files that people open."""

from typing import Final, TypeVar

import msgspec

from netprobe.errors import FormatError

T = TypeVar("T")

INDENT: Final = b"  "


def json_line(value: object) -> bytes:
    """Return compact JSON without a line break.

    Text from outside (a path, an environment variable) may hold bytes that are no UTF-8; they become U+FFFD.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_printable(msgspec.to_builtins(value)))


def packed_document(value: object) -> bytes:
    """Return a record as msgpack; text that is no UTF-8 as in ``json_line``."""
    try:
        return msgspec.msgpack.encode(value)
    except UnicodeEncodeError:
        return msgspec.msgpack.encode(_printable(msgspec.to_builtins(value, builtin_types=(bytes,))))


def json_document(record: object) -> bytes:
    """Return a record as JSON with a line for each field, and for each element of a field that holds records."""
    fields = msgspec.to_builtins(record)
    body = b",\n".join(INDENT + json_line(name) + b": " + _block(value) for name, value in fields.items())
    return b"{\n" + body + b"\n}\n"


def from_json(body: bytes, kind: type[T]) -> T:
    """Return the record in ``body``; raise FormatError that says where in it the trouble is."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(str(error)) from error
    except RecursionError as error:
        raise FormatError("it is nested too deeply") from error


def _block(value: object) -> bytes:
    if not (isinstance(value, list | tuple) and value and isinstance(value[0], dict)):
        return json_line(value)
    elements = b",\n".join(INDENT * 2 + json_line(element) for element in value)
    return b"[\n" + elements + b"\n" + INDENT + b"]"


def _printable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {key: _printable(each) for key, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list | tuple) else value
