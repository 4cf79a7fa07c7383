"""Files that people attach reach the model as what they say, whatever their format, through every API."""

import base64
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from msgspec import Struct

from tests.integration.test_code import calls, results
from tests.support.office import build_encrypted, docx, odt, pptx, xlsx
from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack, wait_until

type Json = dict[str, Any]

WORDS = "Größe: 5 €"
NAME = "a.docx"
DOCX = docx("Head", WORDS)
MARKDOWN = f"# Head\n\n{WORDS}\n"


class Attaching(Struct, frozen=True):
    """An API. attached: a request with files, each its bytes and its type; where: the first one's place in it.

    returned: the same in a tool's result. problem: an error's sentence.
    """

    path: str
    attached: Callable[..., Json]
    returned: Callable[[bytes], Json]
    where: str
    problem: Callable[[Json], str]

    def __repr__(self) -> str:
        return self.path


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def chat_file(data: bytes, media_type: str) -> Json:
    return {"type": "file", "file": {"filename": NAME, "file_data": f"data:{media_type};base64,{encoded(data)}"}}


def chat(*files: tuple[bytes, str]) -> Json:
    content = [{"type": "text", "text": "Read."}, *(chat_file(*each) for each in files)]
    return {"model": "sonnet", "messages": [{"role": "user", "content": content}]}


def chat_returned(data: bytes) -> Json:
    call = {"id": "c", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "c", "content": [chat_file(data, "")]}
    messages = [{"role": "user", "content": "Read."}, {"role": "assistant", "tool_calls": [call]}, result]
    return {"model": "sonnet", "messages": messages, "tools": [{"type": "function", "function": {"name": "read"}}]}


def input_file(data: bytes, media_type: str) -> Json:
    return {"type": "input_file", "filename": NAME, "file_data": f"data:{media_type};base64,{encoded(data)}"}


def responses(*files: tuple[bytes, str]) -> Json:
    content = [{"type": "input_text", "text": "Read."}, *(input_file(*each) for each in files)]
    return {"model": "sonnet", "input": [{"role": "user", "content": content}]}


def responses_returned(data: bytes) -> Json:
    call = {"type": "function_call", "call_id": "c", "name": "read", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": [input_file(data, "")]}
    tool = {"type": "function", "name": "read", "parameters": {"type": "object"}}
    return {"model": "sonnet", "input": [{"role": "user", "content": "Read."}, call, output], "tools": [tool]}


def block(data: bytes, media_type: str) -> Json:
    return {
        "type": "document",
        "title": NAME,
        "source": {"type": "base64", "media_type": media_type, "data": encoded(data)},
    }


def messages(*files: tuple[bytes, str]) -> Json:
    content = [{"type": "text", "text": "Read."}, *(block(*each) for each in files)]
    return {"model": "sonnet", "max_tokens": 100, "messages": [{"role": "user", "content": content}]}


def messages_returned(data: bytes) -> Json:
    use = {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [block(data, "application/octet-stream")]}
    messages = [
        {"role": "user", "content": "Read."},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    tools = [{"name": "read", "input_schema": {"type": "object"}}]
    return {"model": "sonnet", "max_tokens": 100, "messages": messages, "tools": tools}


CHAT = Attaching(
    "/v1/chat/completions", chat, chat_returned, "messages[0].content[1]", lambda body: body["error"]["message"]
)
RESPONSES = Attaching(
    "/v1/responses", responses, responses_returned, "input[0].content[1]", lambda body: body["error"]["message"]
)
MESSAGES = Attaching(
    "/v1/messages", messages, messages_returned, "messages[0].content[1].source", lambda body: body["error"]["message"]
)
each_api = pytest.mark.parametrize("api", [CHAT, RESPONSES, MESSAGES], ids=repr)


@pytest.fixture(scope="module")
async def shared_without_paths(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """A tools executor that may read no folder."""
    async with Stack(shared_upstream.url, tools={"ALLOWED_PATHS": "", "WRITABLE_PATHS": ""}, wait_ready=False) as stack:
        yield stack


@pytest.fixture
async def without_paths(shared_without_paths: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """The same, left quiet."""
    yield shared_without_paths
    await shared_without_paths.wait_until_quiet()


def received(upstream: Upstream) -> list[Json]:
    """The documents that the model was given."""
    [asked] = [each for each in upstream.requests if each.is_message_request]
    content = asked.conversation[-1]["content"]
    if content[0]["type"] == "tool_result":
        content = content[0]["content"]
    return [each for each in content if each["type"] == "document"]


# What is sent, as what type, what the model reads, and whether it is told how that was made.
FILES = (
    (WORDS.encode("cp1252"), "text/plain", WORDS, True),
    (WORDS.encode("cp1252"), "text/plain;charset=windows-1252", WORDS, False),
    (WORDS.encode("utf-16"), "text/plain", WORDS, False),
    (DOCX, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", MARKDOWN, True),
    (
        xlsx(("Name", "Age"), ("Ann", 3)),
        "application/octet-stream",
        "| Name | Age |\n| --- | --- |\n| Ann | 3 |\n",
        True,
    ),
    (pptx("one", "two"), "application/pdf", "one\n\ntwo\n", True),
    (odt("Head", "words"), "application/vnd.oasis.opendocument.text", "# Head\n\nwords\n", True),
)


@each_api
async def test_attached_files_reach_the_model_as_their_text(tools_stack: Stack, upstream: Upstream, api: Attaching):
    """Each in its place, by its name, and with how it was read, where that is not certain."""
    response = await tools_stack.client.post(api.path, json=api.attached(*(each[:2] for each in FILES)))
    assert response.status_code == 200, response.text
    found = received(upstream)
    assert [each["title"] for each in found] == [NAME] * len(FILES)
    plain = {"type": "text", "media_type": "text/plain"}
    assert [each["source"] for each in found] == [{**plain, "data": words} for _, _, words, _ in FILES]
    assert ["context" in each for each in found] == [noted for *_, noted in FILES]


@each_api
async def test_office_document_in_a_tool_s_result_is_converted(tools_stack: Stack, upstream: Upstream, api: Attaching):
    """A client's own tool may read one."""
    response = await tools_stack.client.post(api.path, json=api.returned(DOCX))
    assert response.status_code == 200, response.text
    assert [each["source"]["data"] for each in received(upstream)] == [MARKDOWN]


FAR = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
UNREADABLE = {
    "locked": (build_encrypted(), 400, "password"),
    "cut": (DOCX[:400], 400, "damaged"),
    "empty": (docx(), 400, "without any text"),
    "too large": (xlsx(raw=FAR), 413, "too wide"),
    "another zip": (b"PK\3\4\0\0" + bytes(100), 400, "Send PDF, text, Word"),
    "binary": (b"caf\xe9\x81\0", 400, "Send PDF, text, Word"),
}


@each_api
@pytest.mark.parametrize("name", UNREADABLE)
async def test_file_that_cannot_be_read_is_refused_in_its_place(
    tools_stack: Stack, upstream: Upstream, api: Attaching, name: str
):
    """Before the model is asked."""
    data, status, words = UNREADABLE[name]
    response = await tools_stack.client.post(api.path, json=api.attached((data, "application/octet-stream")))
    assert response.status_code == status, response.text
    problem = api.problem(response.json())
    assert f"`{api.where}`" in problem
    assert words in problem
    assert not [each for each in upstream.requests if each.is_message_request]


@each_api
async def test_without_a_tools_executor_the_request_is_refused_with_what_to_do(stack: Stack, api: Attaching):
    """Texts need none."""
    response = await stack.client.post(api.path, json=api.attached((DOCX, "")))
    assert response.status_code == 503, response.text
    assert "as PDF or text" in api.problem(response.json())
    text = await stack.client.post(api.path, json=api.attached((WORDS.encode("cp1252"), "")))
    assert text.status_code == 200, text.text


async def test_no_path_has_to_be_allowed_for_a_document_that_is_sent(without_paths: Stack, upstream: Upstream):
    """It comes with the request."""
    response = await without_paths.client.post(CHAT.path, json=CHAT.attached((DOCX, "")))
    assert response.status_code == 200, response.text
    assert [each["source"]["data"] for each in received(upstream)] == [MARKDOWN]


async def test_client_s_own_context_comes_before_the_converter_s(tools_stack: Stack, upstream: Upstream):
    """Both are kept."""
    request = MESSAGES.attached((DOCX, ""))
    request["messages"][0]["content"][1]["context"] = "Of last year."
    assert (await tools_stack.client.post(MESSAGES.path, json=request)).status_code == 200
    first, second = received(upstream)[0]["context"].split("\n")
    assert first == "Of last year."
    assert "from a Word document" in second


async def test_office_document_is_estimated_without_being_converted(tools_stack: Stack):
    """An estimate is not worth a job."""
    counted = await tools_stack.client.post("/v1/messages/count_tokens", json=MESSAGES.attached((DOCX, "")))
    assert counted.status_code == 200, counted.text
    assert counted.json()["input_tokens"] > 100


async def test_key_of_one_job_at_a_time_may_send_several_documents(tools_stack: Stack, upstream: Upstream):
    """They are converted one after the other, and each is a job of the key's."""
    made = await tools_stack.client.post(
        "/api/admin/keys", json={"name": "narrow", "scopes": ["chat"], "concurrent_jobs": 1}
    )
    assert made.status_code in {200, 201}, made.text
    headers = {"authorization": f"Bearer {made.json()['key']}"}
    response = await tools_stack.client.post(CHAT.path, json=CHAT.attached(*[(DOCX, "")] * 3), headers=headers)
    assert response.status_code == 200, response.text
    assert len(received(upstream)) == 3

    async def all_written() -> bool:
        used = (await tools_stack.client.get("/api/usage", params={"key": "narrow"})).json()
        return used["totals"]["jobs"] == 4

    await wait_until(all_written)


async def test_files_of_the_server_are_read_as_their_text(tools_stack: Stack, upstream: Upstream):
    """By path, and by the model's own Read, with the numbers of its lines and what was left out."""
    (tools_stack.files / NAME).write_bytes(docx("Head", WORDS, more={"word/media/a.png": b""}))
    (tools_stack.files / "a.csv").write_bytes(WORDS.encode("cp1252"))
    (tools_stack.files / "locked.xlsx").write_bytes(build_encrypted())
    paths = [str(tools_stack.files / name) for name in (NAME, "a.csv")]
    response = await tools_stack.client.post("/api/analyze", json={"prompt": "Which?", "context_files": paths})
    assert response.status_code == 200, response.text
    [asked] = [each for each in upstream.requests if each.is_message_request]
    first, second, _ = asked.conversation[-1]["content"]
    assert (first["title"], first["source"]["data"]) == (paths[0], MARKDOWN)
    assert "its picture" in first["context"]
    assert (second["title"], second["source"]["data"]) == (paths[1], WORDS)
    upstream.script(
        calls(
            ("Read", {"file_path": paths[0]}),
            ("Read", {"file_path": paths[0], "offset": 3, "limit": 1}),
            ("Read", {"file_path": paths[1]}),
            ("Read", {"file_path": str(tools_stack.files / "locked.xlsx")}),
        ),
        AnswerReply("Read."),
    )
    response = await tools_stack.client.post("/api/code", json={"prompt": "Read."})
    assert response.status_code == 200, response.text
    whole, line, table, refused = results(upstream, 2)
    assert whole[0].startswith("     1\t# Head\n     2\t\n     3\tGröße: 5 €\n(Converted to Markdown")
    assert line[0].startswith("     3\tGröße: 5 €\n(Converted")
    assert table[0].startswith("     1\tGröße: 5 €\n(The file does not declare")
    assert refused[1]
    assert "password" in refused[0]


async def test_bytes_of_a_document_are_given_as_they_are_to_who_asks_for_the_file(tools_stack: Stack):
    """Only a model needs its text."""
    (tools_stack.files / "b.docx").write_bytes(DOCX)
    response = await tools_stack.client.post("/api/tools/file-read", json={"path": str(tools_stack.files / "b.docx")})
    got = response.json()
    assert (got["encoding"], base64.b64decode(got["content"])) == ("base64", DOCX)
