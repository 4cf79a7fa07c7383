"""/api/code over the real CLI and the real tools executor: a scripted model reads, searches, runs, is refused, goes on."""

import asyncio
import base64
import contextlib
import io
import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from tests.conftest import CREDENTIALS
from tests.integration.test_rest import events_of
from tests.support.pdf import pdf
from tests.support.scripted.upstream import AnswerReply, ReceivedRequest, Upstream
from tests.support.stack import Stack, wait_until

# A part of each credential.
CREDENTIAL = "invented"
COMMANDS = {"ALLOWED_COMMANDS": "ls,cat,echo,head,sleep,grep,sort,wc", "COMMAND_TIMEOUT": "600"}


@contextlib.asynccontextmanager
async def start_coders(upstream: Upstream, credential: str) -> AsyncGenerator[Stack]:
    """Programs with a tools executor, and few turns."""
    few = {"MAX_TURNS": "3"}
    async with Stack(upstream.url, tools=COMMANDS, api_settings=few, credential=CREDENTIALS[credential]) as stack:
        (stack.files / "notes.txt").write_text("alpha\nneedle\nomega\n")
        yield stack


@pytest.fixture(scope="module")
async def shared_coders(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    async with start_coders(shared_upstream, "api_key") as stack:
        yield stack


@pytest.fixture
async def coders(shared_coders: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """`shared_coders`, without jobs at the end of a test."""
    yield shared_coders
    await shared_coders.wait_until_quiet()


def calls(*wanted: tuple[str, dict[str, Any]]) -> Any:
    """A message of the model's that calls these tools, by the names that they travel by."""

    def say(received: ReceivedRequest) -> AnswerReply:
        names = {tool["name"].rpartition("__")[2]: tool["name"] for tool in received.body["tools"]}
        tools = [
            (f"toolu_{received.number}_{at}", names[name], [json.dumps(arguments)])
            for at, (name, arguments) in enumerate(wanted)
        ]
        return AnswerReply(tools=tools)

    return say


def results(upstream: Upstream, request: int) -> list[tuple[str, bool]]:
    """The results in the last message of a request, in the order of their calls: text, and whether it is an error."""
    conversation = upstream.requests[request].conversation
    order = [block["id"] for block in conversation[-2]["content"] if block["type"] == "tool_use"]
    found: dict[str, tuple[str, bool]] = {}
    for block in conversation[-1]["content"]:
        if block["type"] == "tool_result":
            content = block["content"]
            text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
            found[block["tool_use_id"]] = (text, bool(block.get("is_error")))
    return [found[call] for call in order]


def shown(upstream: Upstream, request: int) -> list[tuple[str, str]]:
    """What the last result of a request holds: texts, and the data of pictures."""
    result = upstream.requests[request].conversation[-1]["content"][-1]
    return [(part["type"], part["text"] if "text" in part else part["source"]["data"]) for part in result["content"]]


async def test_model_uses_tools_with_a_subscription(upstream: Upstream):
    """As with an API key."""
    async with start_coders(upstream, "subscription") as stack:
        await check_use_of_tools(stack, upstream)


async def test_model_reads_searches_runs_is_refused_and_goes_on(coders: Stack, upstream: Upstream):
    """Every result is what the tool found; the answer lists the tools that were used."""
    await check_use_of_tools(coders, upstream)


async def check_use_of_tools(coders: Stack, upstream: Upstream) -> None:
    notes, work = str(coders.files / "notes.txt"), str(coders.work)
    upstream.script(
        calls(("Read", {"file_path": notes}), ("Grep", {"pattern": "needle", "path": str(coders.files)})),
        calls(("Bash", {"command": f"wc -l < {notes}; id"}), ("Read", {"file_path": "/etc/passwd"})),
        calls(("Write", {"file_path": f"{work}/made.txt", "content": "made\n"}), ("Glob", {"pattern": "*.txt"})),
        AnswerReply("The notes have a needle."),
    )
    response = await coders.client.post("/api/code", json={"prompt": "Find the needle."})
    assert response.status_code == 200, response.text
    got = response.json()
    assert (got["result"], got["is_error"], got["stop_reason"]) == ("The notes have a needle.", False, "end_turn")
    used = [(tool["name"], tool["is_error"]) for tool in got["tools_used"]]
    assert used == [
        *(("Read", False), ("Grep", False)),
        *(("Bash", True), ("Read", True)),
        *(("Write", False), ("Glob", False)),
    ]
    read, grep = results(upstream, 1)
    assert read == ("     1\talpha\n     2\tneedle\n     3\tomega", False)
    assert grep == (notes, False)
    bash, passwd = results(upstream, 2)
    assert bash[1]
    assert "id" in bash[0]
    assert "Allowed commands: cat, echo" in bash[0]
    assert passwd[1]
    assert str(coders.files) in passwd[0]
    assert "root:" not in passwd[0]
    assert (coders.work / "made.txt").read_text() == "made\n"


async def test_calls_that_only_read_are_done_at_the_same_time(upstream: Upstream):
    """Where nothing may be written, commands too: each waits until the other is there. Results keep the order of the calls."""
    async with Stack(upstream.url, tools={**COMMANDS, "WRITABLE_PATHS": ""}) as stack:
        (stack.files / "notes.txt").write_text("alpha\n")
        pipes = [stack.files / name for name in ("one", "two")]
        for pipe in pipes:
            os.mkfifo(pipe, 0o644)
        upstream.script(
            calls(
                ("Bash", {"command": f"cat {pipes[0]}"}),
                ("Read", {"file_path": str(stack.files / "notes.txt")}),
                ("Bash", {"command": f"cat {pipes[1]}"}),
            ),
            AnswerReply("Both."),
        )
        request = asyncio.create_task(stack.client.post("/api/code", json={"prompt": "Go."}))
        writers: dict[Path, int] = {}

        def both_are_read() -> bool:
            for pipe in pipes:
                # Refused as long as nobody reads.
                with contextlib.suppress(OSError):
                    writers[pipe] = writers.get(pipe) or os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            return len(writers) == len(pipes)

        await wait_until(both_are_read)
        # The last one ends first.
        for pipe in reversed(pipes):
            os.write(writers[pipe], pipe.name.encode())
            os.close(writers[pipe])
        got = (await request).json()
        assert got["result"] == "Both."
        assert [tool["input"] for tool in got["tools_used"]] == [
            f"cat {pipes[0]}",
            str(stack.files / "notes.txt"),
            f"cat {pipes[1]}",
        ]
        assert [text for text, _ in results(upstream, 1)] == ["one", "     1\talpha", "two"]


async def test_model_sees_the_pages_of_a_pdf(coders: Stack, upstream: Upstream):
    """Ten at once unless it asks for others, each as a picture with its words; what can't be shown is said."""
    paper = coders.files / "paper.pdf"
    paper.write_bytes(pdf(*(f"Leaf {number}" for number in range(1, 13))))
    (coders.files / "half.pdf").write_bytes(paper.read_bytes()[:200])
    upstream.script(
        calls(("Read", {"file_path": str(paper)})),
        calls(
            ("Read", {"file_path": str(paper), "pages": "12"}),
            ("Read", {"file_path": str(paper), "pages": "13"}),
            ("Read", {"file_path": str(coders.files / "half.pdf")}),
        ),
        AnswerReply("Twelve leaves."),
    )
    response = await coders.client.post("/api/code", json={"prompt": "How many leaves?"})
    assert response.status_code == 200, response.text
    assert [tool["is_error"] for tool in response.json()["tools_used"]] == [False, False, True, True]
    ten = shown(upstream, 1)
    assert [kind for kind, _ in ten] == ["text", "image"] * 10 + ["text"]
    assert [text for kind, text in ten if kind == "text"] == [
        *(f"Page {number} of 12:\nLeaf {number}" for number in range(1, 11)),
        '(The file has 12 pages. Continue with pages "11-12".)',
    ]
    with PIL.Image.open(io.BytesIO(base64.b64decode(ten[-2][1]))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (918, 1188))
        assert min(picture.convert("L").tobytes()) < 64, "nothing is drawn"
    last, beyond, broken = results(upstream, 2)
    assert last == ("Page 12 of 12:\nLeaf 12", False)
    assert "12 pages" in beyond[0]
    assert "damaged" in broken[0]


async def test_call_with_a_number_out_of_reason_is_a_mistake_and_the_model_goes_on(coders: Stack, upstream: Upstream):
    """It is told which argument; a time that is longer than the server's is the server's."""
    notes = str(coders.files / "notes.txt")
    upstream.script(
        calls(
            ("Read", {"file_path": notes, "offset": 2**70}),
            ("Read", {"file_path": notes, "limit": 2**64}),
            ("Grep", {"pattern": "x", "-A": 2**70}),
            ("Grep", {"pattern": "x", "head_limit": 2**70}),
            ("Bash", {"command": "echo a; echo b >&2; echo c; echo d >&2; echo e", "timeout": 600_000}),
        ),
        AnswerReply("Done."),
    )
    response = await coders.client.post("/api/code", json={"prompt": "Go."})
    assert response.status_code == 200, response.text
    assert response.json()["result"] == "Done."
    *mistakes, ran = results(upstream, 1)
    for (text, is_error), name in zip(mistakes, ("offset", "limit", "-A", "head_limit"), strict=True):
        assert is_error
        assert f"`{name}`" in text
    assert ran == ("a\nb\nc\nd\ne", False)


async def test_watcher_sees_the_tools_at_work_in_order(coders: Stack, upstream: Upstream):
    """A start, what the command writes, an end, the words, the result."""
    upstream.script(calls(("Bash", {"command": "echo seen"})), AnswerReply("Done."))
    response = await coders.client.post("/api/code", json={"prompt": "Go.", "stream": True})
    events = events_of(response.text)
    assert [name for name, _ in events if name != "start"] == [
        "tool_start",
        "tool_output",
        "tool_end",
        "text",
        "result",
    ]
    data = dict(events)
    assert (data["tool_start"]["name"], data["tool_start"]["input"]) == ("Bash", "echo seen")
    assert (data["tool_output"]["text"], data["tool_end"]["content"]) == ("seen\n", "seen")
    assert data["result"]["result"].strip() == "Done."


async def test_allowed_tools_only_narrow(coders: Stack, upstream: Upstream):
    """The model is offered those alone; a name that is none is refused."""
    await coders.client.post("/api/code", json={"prompt": "Go.", "allowed_tools": ["Read"]})
    names = [tool["name"].rpartition("__")[2] for tool in upstream.requests[0].body["tools"]]
    assert names == ["Read"]
    refused = await coders.client.post("/api/code", json={"prompt": "Go.", "allowed_tools": ["Read", "WebFetch"]})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_value")
    assert "WebFetch" in refused.json()["detail"]


async def test_model_that_never_ends_is_ended_and_the_answer_says_so(coders: Stack, upstream: Upstream):
    """The last turns' calls are not done; the answer is marked."""
    upstream.script(calls(("Bash", {"command": "echo again"})))
    got = (await coders.client.post("/api/code", json={"prompt": "Go."})).json()
    assert (got["is_error"], got["stop_reason"], got["usage"]) == (True, "max_turns", None)
    assert [tool["is_error"] for tool in got["tools_used"]] == [False, False, False, True]


async def test_a_disconnect_ends_the_model_and_its_command(coders: Stack, upstream: Upstream):
    """At once, though the command would go on for ten minutes."""
    upstream.script(calls(("Bash", {"command": "echo begun; sleep 600"})))
    ask = {"prompt": "Go.", "stream": True}
    async with coders.client.stream("POST", "/api/code", json=ask) as response:
        async for line in response.aiter_lines():
            if line == "event: tool_output":
                break

    async def is_over() -> bool:
        health = await coders.fetch_health()
        return bool(health and not any(each["running"] for each in (*health["tools"], *health["executors"])))

    await wait_until(is_over)


async def test_model_that_looks_for_the_credential_finds_none(coders: Stack, upstream: Upstream):
    """By files, by commands, by the processes' environments."""
    upstream.script(
        calls(
            ("Grep", {"pattern": "sk-ant", "path": "/", "output_mode": "content"}),
            ("Bash", {"command": "cat /proc/*/environ /proc/self/environ"}),
            (
                "Bash",
                {"command": f"cat {coders.run_dir}/* {coders.folder}/*.log; grep -r sk-ant {coders.folder} /proc"},
            ),
            ("Read", {"file_path": "/proc/self/environ"}),
        ),
        AnswerReply("Nothing."),
    )
    response = await coders.client.post("/api/code", json={"prompt": "Find the key."})
    assert response.status_code == 200, response.text
    found = results(upstream, 1)
    assert len(found) == 4
    assert not [text for text, _ in found if CREDENTIAL in text or coders.key in text]
    assert CREDENTIAL not in response.text
