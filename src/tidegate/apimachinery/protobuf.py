"""The wire format of protocol buffers: as much of it as there is to write and to read here.

A message is a row of fields, each a number with a type of wire and a payload. What the numbers mean
is said by those who use this: `openapi_protobuf.py` writes a document, `protobuf_bodies.py` reads
requests. Nothing is trusted while reading: whatever is no message is `Malformed`.
"""

from collections.abc import Iterator

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5

_FIXED = {FIXED64: 8, FIXED32: 4}
_VARINT_LIMIT = 10
"""Bytes of 64 bits in groups of 7."""


class Malformed(ValueError):
    """Bytes that are no message."""


def varint(number: int) -> bytes:
    """A number that is not negative."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def delimited(field: int, payload: bytes) -> bytes:
    """A field whose payload is bytes, text or a message."""
    return varint(field << 3 | DELIMITED) + varint(len(payload)) + payload


def text(field: int, value: str) -> bytes:
    return delimited(field, value.encode())


def flag(field: int, value: bool) -> bytes:
    """A boolean; false is the same as absent."""
    return varint(field << 3 | VARINT) + b"\1" if value else b""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in order: numbers and their values, `int`s for varints."""
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        value: int | bytes
        if key & 7 == VARINT:
            value, position = _read_varint(message, position)
        else:
            length = _FIXED.get(key & 7, 0)
            if key & 7 == DELIMITED:
                length, position = _read_varint(message, position)
            elif not length:
                raise Malformed(f"wire type {key & 7} is not known")
            value = message[position : position + length]
            position += length
            if position > len(message):
                raise Malformed("a field is longer than its message")
        yield key >> 3, value


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    number = 0
    for count, byte in enumerate(message[position : position + _VARINT_LIMIT]):
        number |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, position + count + 1
    raise Malformed("a number has no end")


def signed(number: int) -> int:
    """The int32 or int64 that a varint stands for."""
    return number - (1 << 64) if number >> 63 else number
