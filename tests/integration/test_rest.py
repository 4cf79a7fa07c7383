"""REST over the real programs: files and commands in the tools executor's sandbox, chats over the real CLI."""

import asyncio
import base64
import json
import signal
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack, wait_until

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


@pytest.fixture(scope="module")
async def shared_code_stack(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with a tools executor, and some files for it."""
    commands = {
        "MAX_QUEUE": "64",
        "COMMAND_TIMEOUT": "600",
        "ALLOWED_COMMANDS": "ls,cat,echo,head,sleep,grep,sort,wc,tail,pwd,yes,true",
    }
    async with Stack(shared_upstream.url, tools=commands) as stack:
        (stack.files / "notes.txt").write_text("one\ntwo\nthree\n")
        (stack.files / "dot.png").write_bytes(PNG)
        (stack.files / "paper.pdf").write_bytes(PDF)
        (stack.files / "blob.bin").write_bytes(b"\0\1\2")
        yield stack


@pytest.fixture
async def tools_stack(shared_code_stack: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """The same, left quiet."""
    yield shared_code_stack
    await shared_code_stack.wait_until_quiet()


def events_of(body: str) -> list[tuple[str, Any]]:
    """The named events of a stream."""
    found: list[tuple[str, Any]] = []
    for event in body.split("\n\n"):
        if event and not event.startswith(":"):
            name, data = event.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_command_is_run_and_its_outputs_come_apart(tools_stack: Stack):
    """Both outputs, the exit status, the input."""
    command = {"command": "cat; echo oops >&2; ls /nowhere-at-all; echo last", "stdin": "given\n"}
    response = await tools_stack.client.post("/api/tools/bash", json=command)
    assert response.status_code == 200, response.text
    got = response.json()
    assert (got["stdout"], got["returncode"], got["timed_out"], got["truncated"]) == ("given\nlast\n", 0, False, False)
    assert got["stderr"].startswith("oops\n")


async def test_command_that_is_not_allowed_is_403_with_its_name(tools_stack: Stack):
    """And says what is allowed."""
    response = await tools_stack.client.post("/api/tools/bash", json={"command": "id; ls"})
    assert (response.status_code, response.json()["code"]) == (403, "not_allowed")
    assert "id" in response.json()["detail"]
    assert set(response.json()) == {"detail", "code"}


async def test_file_outside_is_403_and_its_content_stays_there(tools_stack: Stack):
    """Whichever way it is named."""
    for path in ("/etc/passwd", f"{tools_stack.files}/../run/api-token", "/proc/self/environ"):
        response = await tools_stack.client.post("/api/tools/file-read", json={"path": path})
        assert response.status_code in {403, 404}, response.text
        assert set(response.json()) == {"detail", "code"}


async def test_file_is_read_whole_and_in_part(tools_stack: Stack):
    """Lines are counted from 1."""
    path = str(tools_stack.files / "notes.txt")
    complete = (await tools_stack.client.post("/api/tools/file-read", json={"path": path})).json()
    part = (await tools_stack.client.post("/api/tools/file-read", json={"path": path, "offset": 2, "limit": 1})).json()
    assert (complete["path"], complete["content"], complete["size"], complete["encoding"]) == (
        path,
        "one\ntwo\nthree\n",
        14,
        "utf-8",
    )
    assert (part["content"], part["size"], part["first_line"], part["lines"]) == ("two\n", 14, 2, 3)


async def test_binary_file_comes_as_base64_with_its_type(tools_stack: Stack):
    """Byte for byte."""
    got = (
        await tools_stack.client.post("/api/tools/file-read", json={"path": str(tools_stack.files / "dot.png")})
    ).json()
    assert (got["encoding"], got["media_type"]) == ("base64", "image/png")
    assert base64.b64decode(got["content"]) == PNG


async def test_output_streams_before_the_command_ends(tools_stack: Stack):
    """A person sees what it writes while it waits, and a disconnect ends it."""
    ask = {"command": "echo first; sleep 600", "stream": True}
    async with tools_stack.client.stream("POST", "/api/tools/bash", json=ask) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        text = ""
        async for piece in response.aiter_text():
            text += piece
            if "\n\n" in text:
                break
    assert events_of(text) == [("output", {"stream": "stdout", "text": "first\n"})]

    async def is_over() -> bool:
        health = await tools_stack.fetch_health()
        return bool(health and health["tools"][0]["running"] == 0)

    await wait_until(is_over)


async def test_streamed_command_ends_in_its_result(tools_stack: Stack):
    """The data of `result` is what a plain request gets."""
    ask = {"command": "echo one; echo two >&2"}
    plain = (await tools_stack.client.post("/api/tools/bash", json=ask)).json()
    streamed = events_of((await tools_stack.client.post("/api/tools/bash", json={**ask, "stream": True})).text)
    assert streamed[-1] == ("result", plain)
    assert {name for name, _ in streamed[:-1]} == {"output"}


async def test_events_of_a_stream_are_all_that_the_result_has(tools_stack: Stack):
    """Letters that the command left unfinished too, as what they are replaced by."""
    ask = {"command": "printf 'one \\342\\202'; printf 'two \\303' >&2", "stream": True}
    events = events_of((await tools_stack.client.post("/api/tools/bash", json=ask)).text)
    result = events[-1][1]
    assert (result["stdout"], result["stderr"]) == ("one \N{REPLACEMENT CHARACTER}", "two \N{REPLACEMENT CHARACTER}")
    for stream in ("stdout", "stderr"):
        assert "".join(data["text"] for _, data in events if data.get("stream") == stream) == result[stream]


@pytest.mark.parametrize(
    ("path", "ask", "status", "words"),
    [
        ("bash", {"command": "echo ".ljust(200_000, "x")}, 413, "command: it has 200000 bytes"),
        ("bash", {"command": "ls", "cwd": ""}, 400, "`cwd` is empty"),
        ("file-read", {"path": "notes.txt", "offset": 2**53}, 400, "`offset` must be at most 1000000000"),
        ("file-read", {"path": "notes.txt", "limit": 2**70}, 400, "`limit` must be at most 1000000000"),
    ],
)
async def test_what_is_too_much_is_refused_by_its_name(
    tools_stack: Stack, path: str, ask: dict[str, Any], status: int, words: str
):
    """With the most that there may be."""
    response = await tools_stack.client.post(f"/api/tools/{path}", json=ask)
    assert response.status_code == status, response.text
    assert words in response.json()["detail"]


async def test_fifty_commands_at_once_all_work(tools_stack: Stack):
    """None is refused, none is mixed up with another."""
    asks = [tools_stack.client.post("/api/tools/bash", json={"command": f"echo {number}"}) for number in range(50)]
    responses = await asyncio.gather(*asks)
    assert [(each.status_code, each.json().get("stdout")) for each in responses] == [
        (200, f"{number}\n") for number in range(50)
    ]


async def test_chat_is_answered_whole_and_streamed(tools_stack: Stack, upstream: Upstream):
    """Both say the same, in the same words."""
    complete = await tools_stack.client.post("/api/chat", json={"prompt": "Hi", "model": "gpt-4o", "unknown": 1})
    got = complete.json()
    assert (got["result"], got["is_error"], got["stop_reason"]) == ("Hello world!", False, "end_turn")
    assert got["usage"]["output_tokens"] > 0
    streamed = events_of((await tools_stack.client.post("/api/chat", json={"prompt": "Hi", "stream": True})).text)
    assert [name for name, _ in streamed] == ["start", "text", "text", "text", "result"]
    assert streamed[-1][1]["result"] == "Hello world!"


async def test_files_reach_the_model_as_documents_with_their_names(tools_stack: Stack, upstream: Upstream):
    """Text, picture and PDF, before the prompt, which stays as it was."""
    paths = [str(tools_stack.files / name) for name in ("notes.txt", "dot.png", "paper.pdf")]
    response = await tools_stack.client.post("/api/analyze", json={"prompt": "Which?", "context_files": paths})
    assert response.status_code == 200, response.text
    [received] = [each for each in upstream.requests if each.is_message_request]
    [message] = received.conversation
    kinds = [block["type"] for block in message["content"]]
    assert kinds == ["document", "text", "image", "document", "text"]
    text, _, image, pdf, prompt = message["content"]
    assert (text["title"], text["source"]["data"]) == (paths[0], "one\ntwo\nthree\n")
    assert image["source"]["media_type"] == "image/png"
    assert (pdf["title"], pdf["source"]["media_type"]) == (paths[2], "application/pdf")
    assert prompt["text"] == "Which?"


@pytest.mark.parametrize(("name", "status"), [("blob.bin", 400), ("missing.txt", 404), ("../run", 403)])
async def test_file_that_cannot_be_shown_is_refused_by_its_place(
    tools_stack: Stack, upstream: Upstream, name: str, status: int
):
    """Before the model is asked."""
    paths = [str(tools_stack.files / "notes.txt"), f"{tools_stack.files}/{name}"]
    response = await tools_stack.client.post("/api/analyze", json={"prompt": "Which?", "context_files": paths})
    assert response.status_code == status, response.text
    assert "context_files[1]" in response.json()["detail"]
    assert not [each for each in upstream.requests if each.is_message_request]


async def test_models_have_their_names_and_one_default(tools_stack: Stack):
    """As the original lists them."""
    models = (await tools_stack.client.get("/api/models")).json()["models"]
    assert [model["key"] for model in models if model["default"]] == ["sonnet"]
    assert {"haiku", "sonnet", "opus", "gpt-4o"} <= {model["key"] for model in models}


async def test_health_shows_paths_only_to_callers_with_a_key(tools_stack: Stack):
    """Whoever asks sees that it is up."""
    with_key = (await tools_stack.client.get("/health")).json()["tools"]
    without = (await tools_stack.client.get("/health", headers={"authorization": ""})).json()["tools"]
    assert with_key[0]["allowed_paths"]
    assert with_key[0]["allowed_commands"]
    assert [set(each) for each in without] == [{"name", "up", "max_concurrent", "running", "waiting", "problem"}]


async def test_killed_tools_executor_degrades_the_health_until_it_is_back(upstream: Upstream):
    """Chats go on; who asks is told which executor it is, and where to look."""
    async with Stack(upstream.url, tools={}) as stack:
        assert stack.tools
        complete = await stack.fetch_health()
        assert complete
        assert complete["status"] == ("degraded" if complete["tools"][0]["missing"] else "ok")
        await stack.tools.stop(signal.SIGKILL)
        health = await stack.fetch_health()
        assert health
        [killed] = health["tools"]
        assert (health["status"], killed["up"], killed["problem"]) == (
            "degraded",
            False,
            "It does not answer; its log says why.",
        )
        assert (await stack.client.get("/health/ready")).status_code == 200
        response = await stack.client.post("/api/tools/bash", json={"command": "ls"})
        assert (response.status_code, response.json()["code"]) == (503, "tools_unavailable")
        await stack.tools.start()
        await stack.wait_until_ready()
        assert await stack.fetch_health() == complete


@pytest.mark.parametrize("path", ["/api/code", "/api/tools/bash", "/api/tools/file-read", "/api/analyze"])
async def test_without_a_tools_executor_tools_are_503_and_chats_work(stack: Stack, path: str):
    """And the answer says where to look."""
    ask = {"prompt": "Hi", "command": "ls", "path": "x", "context_files": ["x"]}
    response = await stack.client.post(path, json=ask)
    assert (response.status_code, response.json()["code"]) == (503, "tools_unavailable")
    assert (await stack.client.post("/api/chat", json=ask)).status_code == 200


async def test_answer_that_was_cut_says_so(tools_stack: Stack, upstream: Upstream):
    """It is given, and marked."""
    upstream.script(AnswerReply("cut", stop_reason="max_tokens"))
    got = (await tools_stack.client.post("/api/chat", json={"prompt": "Hi"})).json()
    assert (got["result"], got["is_error"], got["stop_reason"]) == ("cut", True, "max_tokens")
