"""Documents are fetched by the rules that hold for pictures, with a limit and words of their own."""

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

import pytest

from api.conversation.drafts import Draft, DraftResult
from api.conversation.messages import build_messages
from api.core.problems import Problem
from api.media.blocks import RemoteDocument, RemoteMedia
from api.media.fetcher import MAX_DOCUMENTS_PER_REQUEST, Fetcher
from api.media.request_fetches import RequestFetches
from shared.turn import Document, Image, Text, ToolResult
from tests.support.timeouts import TEST_TIMEOUT
from tests.unit.api.media.test_blocks import png
from tests.unit.api.media.test_fetcher import NAME, Answer, Names, answer, fetch, fetching, serving, to

WHERE = "messages[0].content[0].source"
PDF = b"%PDF-1.4\n%%EOF\n"


def remote(url: str) -> RemoteDocument:
    return RemoteDocument(url, WHERE, "T", "C")


async def refusal(fetcher: Fetcher, url: str) -> Problem:
    """Why it is not fetched; always with the place and what to do."""
    with pytest.raises(Problem) as caught:
        async with asyncio.timeout(TEST_TIMEOUT):
            await fetch(fetcher, remote(url))
    assert caught.value.param == WHERE
    assert f"`{WHERE}`" in caught.value.message
    assert "picture" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (PDF, Document("application/pdf", base64.b64encode(PDF).decode(), "T", "C")),
        (b"\xef\xbb\xbfwords\r\n", Document("text/plain", "words\r\n", "T", "C")),
        (png(), Image("image/png", base64.b64encode(png()).decode())),
    ],
    ids=["pdf", "text", "picture"],
)
async def test_a_document_comes_as_what_its_bytes_are(body: bytes, found: Document | Image):
    """Whatever its Content-Type says, over a redirect, with the title and context of the request."""
    answers: dict[str, Answer] = {"/a": to("/b"), "/b": answer(body, content_type="image/png")}
    async with serving(answers) as site, fetching() as fetcher:
        assert await fetch(fetcher, remote(f"http://{NAME}:{site.port}/a")) == found
    assert all("\r\nAccept: application/pdf" in head for head in site.heads)


@pytest.mark.parametrize("body", [b"", b"\x00\x01\x02"])
async def test_bytes_of_no_known_kind_are_refused(body: bytes):
    """As those that are sent are."""
    async with serving({"/": answer(body)}) as site, fetching() as fetcher:
        with pytest.raises(Problem) as caught:
            await fetch(fetcher, remote(f"http://{NAME}:{site.port}/"))
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_file", WHERE)


BIG = PDF + b" " * 4000
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BIG), BIG)


@pytest.mark.parametrize("sent", [answer(BIG), CHUNKED], ids=["of a known length", "in chunks"])
async def test_a_document_over_the_limit_is_refused_while_it_comes(sent: bytes):
    """By its own limit: a picture's is smaller."""
    async with serving({"/": sent}) as site:
        url = f"http://{NAME}:{site.port}/"
        async with fetching(max_bytes=10, max_document_bytes=5000) as fetcher:
            assert isinstance(await fetch(fetcher, remote(url)), Document)
            with pytest.raises(Problem) as caught:
                await fetch(fetcher, RemoteMedia(url, WHERE))
            assert caught.value.code == "image_too_large"
        async with fetching(max_document_bytes=4000) as fetcher:
            problem = await refusal(fetcher, url)
    assert (problem.status, problem.code) == (413, "file_too_large")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.2/", "file_fetch_refused"),
        ("http://inside.test/", "file_fetch_refused"),
        ("http://me:x@pictures.test/", "file_fetch_refused"),
        ("http://[", "file_fetch_refused"),
        (f"http://{NAME}:{{port}}/inside", "file_fetch_refused"),
        (f"http://{NAME}:{{port}}/gone", "file_fetch_failed"),
    ],
)
async def test_no_document_comes_from_inside(url: str, code: str):
    """Nor by a redirect; what is not there is told apart from what may not be fetched."""
    names = Names(pictures_test=["127.0.0.1"], inside_test=["10.0.0.1"])
    answers: dict[str, Answer] = {"/inside": to("http://127.0.0.2/"), "/gone": answer(status="404 Not Found")}
    async with serving(answers) as site, fetching(names) as fetcher:
        problem = await refusal(fetcher, url.replace("{port}", str(site.port)))
    assert (problem.status, problem.code) == (400, code)


async def test_the_owner_turns_the_fetching_of_documents_off_too():
    """By the same setting."""
    fetcher = Fetcher(enabled=False)
    problem = await refusal(fetcher, "https://example.com/a.pdf")
    await fetcher.close()
    assert (problem.code, "FETCH_IMAGES" in problem.message) == ("file_fetch_refused", True)


async def test_fetched_documents_stand_in_their_places():
    """In a message and in a tool's result."""
    answers: dict[str, Answer] = {"/a": answer(b"one"), "/b": answer(b"two")}
    async with serving(answers) as site, fetching() as fetcher:
        first, second = (
            RemoteDocument(f"http://{NAME}:{site.port}/{name}", f"{WHERE}.{name}", None, None) for name in "ab"
        )
        drafts = [Draft("user", (Text("x"), first, DraftResult("t", (second,))), "messages[0]")]
        [message] = await build_messages(drafts, RequestFetches(fetcher, "k"))
    one, two = Document("text/plain", "one"), Document("text/plain", "two")
    assert message.content == (Text("x"), one, ToolResult("t", (two,)))


async def test_more_documents_than_are_fetched_are_refused_before_any_is():
    """By the place of the first that is too many."""
    many: Sequence[Any] = [
        RemoteDocument("http://x.test/", f"at[{number}]") for number in range(MAX_DOCUMENTS_PER_REQUEST + 1)
    ]
    with pytest.raises(Problem) as caught:
        await build_messages([Draft("user", tuple(many), "messages[0]")], RequestFetches(Fetcher(enabled=False), "k"))
    assert caught.value.param == f"at[{MAX_DOCUMENTS_PER_REQUEST}]"
