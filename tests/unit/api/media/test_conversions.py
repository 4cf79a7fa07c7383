"""What comes of a conversion is a document of the model's, or a problem that names the part."""

import pytest

from api.conversation.drafts import Draft, DraftResult
from api.conversation.messages import build_messages
from api.core.problems import Problem
from api.media.blocks import OfficeDocument
from api.media.conversions import convert_document
from api.media.fetcher import Fetcher
from api.media.request_fetches import RequestFetches
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import ConvertDocument, ConvertedDocument, FileMatches, JobResult
from shared.turn import Document, Message, Text, ToolResult, ToolUse

SENT = OfficeDocument(b"PK", "a.docx", "messages[0].content[1]", "Of last year.")


async def problem_of(came: JobResult | Failed) -> Problem:
    async def run(_job: ConvertDocument) -> JobResult | Failed:
        return came

    with pytest.raises(Problem) as caught:
        await convert_document(run, SENT)
    assert caught.value.param == SENT.where
    assert f"`{SENT.where}`" in caught.value.message
    return caught.value


async def test_markdown_comes_with_the_client_s_title_and_both_contexts():
    """The client's first."""

    async def run(job: ConvertDocument) -> JobResult | Failed:
        assert job.data == b"PK"
        return ConvertedDocument("# A\n", "Converted.")

    assert await convert_document(run, SENT) == Document("text/plain", "# A\n", "a.docx", "Of last year.\nConverted.")


@pytest.mark.parametrize(
    ("failed", "status", "code", "words"),
    [
        (Failed(ErrorKind.BAD_JOB, "it is damaged."), 400, "invalid_file", "it is damaged."),
        (Failed(ErrorKind.TOO_LARGE, "too many cells."), 413, "file_too_large", "too many cells."),
        (
            Failed(ErrorKind.TOOLS_UNAVAILABLE, "the sandbox fails.", retry_after=1),
            503,
            "tools_unavailable",
            "as PDF or text",
        ),
        (Failed(ErrorKind.QUEUE_FULL, retry_after=1), 429, "queue_full", "queue is full"),
        (Failed(ErrorKind.EXECUTOR_LOST), 502, "executor_lost", "Retry the request"),
        (FileMatches(()), 502, "executor_lost", "Retry the request"),
    ],
)
async def test_what_is_not_converted_is_a_problem_of_its_part(
    failed: JobResult | Failed, status: int, code: str, words: str
):
    """With what to do; when to try again is kept."""
    problem = await problem_of(failed)
    assert (problem.status, problem.code) == (status, code)
    assert words in problem.message
    if isinstance(failed, Failed):
        assert problem.retry_after == failed.retry_after


async def test_documents_are_converted_in_their_places_one_after_the_other():
    """Also those inside results."""
    under_way: list[str] = []

    async def converted(document: OfficeDocument) -> Document:
        assert not under_way
        under_way.append(document.where)
        under_way.clear()
        return Document("text/plain", document.where)

    drafts = (
        Draft("user", (Text("1"), OfficeDocument(b"a", None, "x"), Text("2")), "messages[0]"),
        Draft("assistant", (ToolUse("c", "f", "{}"),), "messages[1]"),
        Draft("user", (DraftResult("c", (OfficeDocument(b"a", None, "y"),)),), "messages[2]"),
    )
    assert await build_messages(drafts, RequestFetches(Fetcher(enabled=False), "k"), converted) == (
        Message("user", (Text("1"), Document("text/plain", "x"), Text("2"))),
        Message("assistant", (ToolUse("c", "f", "{}"),)),
        Message("user", (ToolResult("c", (Document("text/plain", "y"),)),)),
    )


async def test_where_nothing_converts_the_part_is_named():
    """And what to send."""
    with pytest.raises(Problem) as caught:
        await build_messages((Draft("user", (SENT,), "messages[0]"),), RequestFetches(Fetcher(enabled=False), "k"))
    assert (caught.value.status, caught.value.code, caught.value.param) == (503, "tools_unavailable", SENT.where)
