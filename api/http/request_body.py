"""The body of a request, unpacked.

Law: what is unpacked is bounded like what is sent, alone and together with the bodies of other requests.
"""

import asyncio
import zlib
from collections.abc import Iterator

from litestar import Request
from litestar.datastructures import Headers, State
from litestar.types import Receive, Scope

from api.auth.body_limits import share_of
from api.core.problems import Problem, too_large
from api.http.inflight_bodies import LARGEST

# Of a length that can be one.
DIGITS = 18
# zlib takes both gzip's header and its own (zlib.h, inflateInit2: 32 added to windowBits).
ANY_HEADER = 32 + zlib.MAX_WBITS
# Bytes that are unpacked before room is taken for them.
PIECE = 1024 * 1024


async def read(request: Request[object, object, State]) -> bytes:
    """The body, with gzip and deflate undone. Raises Problem (400, 413, 415, 503)."""
    return await _plain(await request.body(), request.scope)


async def gathered(scope: Scope, receive: Receive) -> bytes:
    """The same of a request that the framework does not read. Raises Problem (400, 413, 415, 503)."""
    announced = Headers.from_scope(scope).get("content-length", "")
    if announced.isascii() and announced.isdigit() and (len(announced) > DIGITS or int(announced) > LARGEST):
        raise too_large()
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if len(body) > LARGEST:
            raise too_large()
        if not message.get("more_body"):
            break
    return await _plain(bytes(body), scope)


async def _plain(body: bytes, scope: Scope) -> bytes:
    encoding = Headers.from_scope(scope).get("content-encoding", "identity").strip().lower()
    match encoding:
        case "identity" | "":
            return body
        case "gzip" | "x-gzip" | "deflate":
            plain = bytearray()
            share = share_of(scope)
            inflating = pieces(body)
            # Apart from the loop: what unpacks to much takes its time.
            while piece := await asyncio.to_thread(next, inflating, b""):
                if share:
                    share.take(len(piece))
                plain += piece
            return bytes(plain)
        case _:
            message = "Send the body as it is, or with Content-Encoding: gzip."
            raise Problem(415, "unsupported_encoding", message)


def unpacked(body: bytes) -> bytes:
    """A compressed body as it was. Raises Problem."""
    return b"".join(pieces(body))


def pieces(body: bytes) -> Iterator[bytes]:
    """A compressed body as it was, in pieces. Raises Problem."""
    inflate, size = zlib.decompressobj(ANY_HEADER), 0
    try:
        while piece := inflate.decompress(body, PIECE):
            size += len(piece)
            if size > LARGEST:
                raise too_large()
            yield piece
            body = inflate.unconsumed_tail
    except zlib.error as error:
        raise Problem(400, "invalid_encoding", "The body is not what its Content-Encoding says.") from error
    if not inflate.eof:
        raise Problem(400, "invalid_encoding", "The compressed body ends too early.")
