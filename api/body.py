"""The body of a request, unpacked.

Law: what is unpacked is bounded like what is sent, alone and together with the bodies of other requests.
"""

import asyncio
import zlib

from litestar import Request
from litestar.datastructures import Headers, State
from litestar.types import Receive, Scope

from api.bounded_body import STATE_KEY, Share
from api.problems import Problem, too_large

LARGEST = 32 * 1024 * 1024
# zlib takes both gzip's header and its own (zlib.h, inflateInit2: 32 added to windowBits).
ANY_HEADER = 32 + zlib.MAX_WBITS


async def read(request: Request[object, object, State]) -> bytes:
    """The body, with gzip and deflate undone. Raises Problem (400, 413, 415, 503)."""
    return await _plain(await request.body(), request.scope)


async def gathered(scope: Scope, receive: Receive) -> bytes:
    """The same of a request that the framework does not read. Raises Problem (400, 413, 415, 503)."""
    announced = Headers.from_scope(scope).get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > LARGEST:
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
            # Apart from the loop: what unpacks to much takes its time.
            plain = await asyncio.to_thread(unpacked, body)
            share: Share | None = scope["state"].get(STATE_KEY)
            if share:
                share.take(len(plain))
            return plain
        case _:
            message = "Send the body as it is, or with Content-Encoding: gzip."
            raise Problem(415, "unsupported_encoding", message)


def unpacked(body: bytes) -> bytes:
    """A compressed body as it was. Raises Problem."""
    inflate = zlib.decompressobj(ANY_HEADER)
    try:
        plain = inflate.decompress(body, LARGEST + 1)
    except zlib.error as error:
        raise Problem(400, "invalid_encoding", "The body is not what its Content-Encoding says.") from error
    if len(plain) > LARGEST:
        raise too_large()
    if not inflate.eof:
        raise Problem(400, "invalid_encoding", "The compressed body ends too early.")
    return plain
