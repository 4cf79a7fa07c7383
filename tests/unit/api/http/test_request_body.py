"""A request's body, unpacked, and no larger than it may be."""

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Request, Response, post
from litestar.datastructures import State
from litestar.testing import AsyncTestClient

from api.core.problems import Problem
from api.dialects.error_handlers import on_problem
from api.http import request_body
from api.http.body_limits import InflightBodies
from api.http.request_body import MAX_BODY_BYTES, iter_decompressed


def decompress(body: bytes) -> bytes:
    return b"".join(iter_decompressed(body))


@pytest.mark.wire(20)
@given(st.binary(max_size=2000))
def test_what_was_packed_is_unpacked_to_the_byte(plain: bytes):
    """By gzip and by deflate."""
    assert decompress(gzip.compress(plain, mtime=0)) == plain
    assert decompress(zlib.compress(plain)) == plain


@pytest.mark.wire(20)
@given(st.binary(max_size=300))
def test_bytes_that_are_not_packed_are_a_400(junk: bytes):
    """Not a fault of ours."""
    refused: Problem | None = None
    try:
        decompress(junk)
    except Problem as problem:
        refused = problem
    assert refused is None or (refused.status, refused.code) == (400, "invalid_encoding")


@pytest.mark.wire(20)
def test_a_packed_body_that_is_cut_off_is_a_400_wherever_it_is_cut():
    """Half a body is never taken for a whole one."""
    packed = gzip.compress(b'{"messages":[]}' * 20, mtime=0)
    for end in range(len(packed)):
        with pytest.raises(Problem) as caught:
            decompress(packed[:end])
        assert (caught.value.status, caught.value.code) == (400, "invalid_encoding")
        assert "compressed" in caught.value.message or "Content-Encoding" in caught.value.message


@pytest.mark.wire(20)
def test_a_small_body_that_unpacks_to_too_much_is_a_413():
    """The limit is that of a plain body, and no more than that is ever unpacked."""
    assert len(decompress(gzip.compress(bytes(MAX_BODY_BYTES)))) == MAX_BODY_BYTES
    with pytest.raises(Problem) as caught:
        decompress(gzip.compress(bytes(MAX_BODY_BYTES + 1)))
    assert (caught.value.status, caught.value.code) == (413, "request_too_large")


@post("/", status_code=200)
async def echo(request: Request[object, object, State]) -> Response[bytes]:
    """Give the body back."""
    return Response(await request_body.read(request), media_type="application/octet-stream")


app = Litestar(
    [echo],
    exception_handlers={Problem: on_problem},
    request_max_body_size=MAX_BODY_BYTES,
    openapi_config=None,
    logging_config=None,
)

PLAIN = b'{"a":"\xc3\xa9"}'


@pytest.mark.wire(20)
@pytest.mark.parametrize(
    "content_type", [None, "application/json", "application/json; charset=utf-8", "text/plain", ""]
)
@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        (None, PLAIN),
        ("", PLAIN),
        ("identity", PLAIN),
        ("gzip", gzip.compress(PLAIN, mtime=0)),
        (" GZIP ", gzip.compress(PLAIN, mtime=0)),
        ("x-gzip", gzip.compress(PLAIN, mtime=0)),
        ("deflate", zlib.compress(PLAIN)),
    ],
)
async def test_the_body_is_read_whatever_its_type_is_called(
    content_type: str | None, encoding: str | None, sent: bytes
):
    """Packed or not; clients forget the type, or add a charset to it."""
    given_headers = {"content-type": content_type, "content-encoding": encoding}
    headers = {name: value for name, value in given_headers.items() if value is not None}
    async with AsyncTestClient(app) as client:
        response = await client.post("/", content=sent, headers=headers)
    assert (response.status_code, response.content) == (200, PLAIN)


@pytest.mark.wire(20, 40)
@pytest.mark.parametrize("encoding", ["br", "gzip, gzip"])
async def test_an_encoding_that_is_not_known_is_a_415_that_names_one_that_is(encoding: str):
    """As an error object."""
    async with AsyncTestClient(app) as client:
        response = await client.post("/", content=b"x", headers={"content-encoding": encoding})
    assert response.status_code == 415
    error = json.loads(response.content)["error"]
    assert error["code"] == "unsupported_encoding"
    assert "gzip" in error["message"]


def test_a_refusal_keeps_nothing_of_the_one_before():
    """An exception that is raised again holds on to every frame that it went through, and their bodies."""

    def raised(refuse: Callable[[], object]) -> Problem:
        with pytest.raises(Problem) as caught:
            refuse()
        return caught.value

    room, bomb = InflightBodies(1), zlib.compress(bytes(MAX_BODY_BYTES + 1))
    for refuse in (lambda: room.reserve(2), lambda: decompress(bomb)):
        assert raised(refuse) is not raised(refuse)
