"""HTTP/1.1 messages on asyncio streams, as far as a proxy needs them."""

import asyncio
from collections.abc import AsyncIterator, Mapping

PIECE = 256 * 1024
TLS_RECORD = b"\x16"  # the first byte of a handshake


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """The first line, and the headers by lower-case name, those that came twice joined.

    Raises EOFError when the connection ends before, and for whoever begins to speak TLS: real
    servers close it at once, too.
    """
    begun = await reader.readexactly(1)
    if begun == TLS_RECORD:
        raise EOFError("TLS where there is none")
    head = (begun + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return first, headers


def head(first: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of a head."""
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Data as a chunk; nothing is the end."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def read_body(
    reader: asyncio.StreamReader, headers: Mapping[str, str], *, to_end: bool = False
) -> AsyncIterator[bytes]:
    """The body in pieces, without its framing; `to_end`: one without any ends with the connection.

    Raises EOFError (IncompleteReadError) when the connection ends before it.
    """
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).partition(b";")[0] or b"0", 16):
            async for piece in _exactly(reader, size):
                yield piece
            await reader.readexactly(2)
        while (await reader.readline()).strip():
            pass  # trailers
    elif "content-length" in headers:
        async for piece in _exactly(reader, int(headers["content-length"])):
            yield piece
    elif to_end:
        while piece := await reader.read(PIECE):
            yield piece


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, PIECE))
        if not piece:
            raise EOFError("the connection ended in a body")
        size -= len(piece)
        yield piece
