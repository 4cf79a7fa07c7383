"""Reads request bodies and decompresses them.

Invariants: the limits of a body, alone and together with the bodies of other requests, apply to the decompressed one.
"""

import asyncio
import zlib
from collections.abc import Iterator

from litestar import Request
from litestar.datastructures import Headers, State
from litestar.types import Receive, Scope

from api.core.problems import Problem, too_large_problem
from api.http.body_limits import get_reservation
from api.http.inflight_bodies import MAX_BODY_BYTES

# More digits cannot be a valid length.
MAX_LENGTH_DIGITS = 18
# zlib accepts both gzip's header and its own (zlib.h, inflateInit2: 32 added to windowBits).
GZIP_OR_ZLIB_WBITS = 32 + zlib.MAX_WBITS
# Bytes that are decompressed before memory is reserved for them.
INFLATE_CHUNK_BYTES = 1024 * 1024


async def read(request: Request[object, object, State]) -> bytes:
    """Returns the body, decompressed. Raises Problem (400, 413, 415, 503)."""
    return await _decode_content(await request.body(), request.scope)


async def receive_body(scope: Scope, receive: Receive) -> bytes:
    """Returns the same for a request that the framework does not read. Raises Problem (400, 413, 415, 503)."""
    announced = Headers.from_scope(scope).get("content-length", "")
    if (
        announced.isascii()
        and announced.isdigit()
        and (len(announced) > MAX_LENGTH_DIGITS or int(announced) > MAX_BODY_BYTES)
    ):
        raise too_large_problem()
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if len(body) > MAX_BODY_BYTES:
            raise too_large_problem()
        if not message.get("more_body"):
            break
    return await _decode_content(bytes(body), scope)


async def _decode_content(body: bytes, scope: Scope) -> bytes:
    encoding = Headers.from_scope(scope).get("content-encoding", "identity").strip().lower()
    match encoding:
        case "identity" | "":
            return body
        case "gzip" | "x-gzip" | "deflate":
            plain = bytearray()
            reservation = get_reservation(scope)
            pieces = iter_decompressed(body)
            # In a thread, since a large result takes long.
            while piece := await asyncio.to_thread(next, pieces, b""):
                if reservation:
                    reservation.reserve(len(piece))
                plain += piece
            return bytes(plain)
        case _:
            message = "Send the body without Content-Encoding, or with Content-Encoding: gzip."
            raise Problem(415, "unsupported_encoding", message)


def iter_decompressed(body: bytes) -> Iterator[bytes]:
    """Yields a compressed body, decompressed, in pieces. Raises Problem."""
    inflate, size = zlib.decompressobj(GZIP_OR_ZLIB_WBITS), 0
    try:
        while piece := inflate.decompress(body, INFLATE_CHUNK_BYTES):
            size += len(piece)
            if size > MAX_BODY_BYTES:
                raise too_large_problem()
            yield piece
            body = inflate.unconsumed_tail
    except zlib.error as error:
        raise Problem(400, "invalid_encoding", "The body does not match its Content-Encoding.") from error
    if not inflate.eof:
        raise Problem(400, "invalid_encoding", "The compressed body is incomplete.")
