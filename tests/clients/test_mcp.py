"""The official MCP client works with the real programs, over HTTP and through the bridge, in both eras of the protocol."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import jsonschema
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

from api.auth.host_check import HostPolicy
from api.core.problems import Problem
from api.dialects.mcp.models import OFFERS_BY_NAME, TOOL_OFFERS
from tests.support.mcp_client import PROTOCOL_MODES, connect_client, get_text
from tests.support.scripted.upstream import AnswerReply, ErrorReply, GatedReply, StalledReply, Upstream
from tests.support.stack import REPOSITORY, Stack, wait_until
from tests.support.timeouts import TEST_TIMEOUT

ACCEPT = {"accept": "application/json, text/event-stream"}
PROBE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "server/discover",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}


@pytest.fixture(scope="module")
async def tools_stack(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with files and commands."""
    async with Stack(shared_upstream.url, tools={}) as stack:
        yield stack


@pytest.mark.wire(74)
@pytest.mark.parametrize("mode", [*PROTOCOL_MODES, "auto"])
async def test_a_chat_has_its_answer_twice_and_its_words_as_progress(stack: Stack, upstream: Upstream, mode: str):
    """Structured, by the schema that the tool has; as text; and on the way, as each word comes."""
    upstream.script(AnswerReply(("Hello", " world"), output=2))
    messages: list[str | None] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        messages.append(message)

    async with connect_client(stack, mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == [offer.name for offer in TOOL_OFFERS]
        result = await client.call_tool("chat", {"prompt": "hi"}, progress_callback=tell)
        assert not result.is_error
        assert get_text(result) == "Hello world"
        assert tools["chat"].output_schema
        jsonschema.validate(result.structured_content, tools["chat"].output_schema)
        assert result.structured_content["usage"]["output_tokens"] == 2
    assert [message for message in messages if message in {"Hello", " world"}] == ["Hello", " world"]
    assert messages[0] == "The work starts."


@pytest.mark.parametrize("mode", PROTOCOL_MODES)
async def test_a_cancelled_call_ends_its_job(stack: Stack, upstream: Upstream, mode: str):
    """The model is no longer waited for, and the place is free."""
    upstream.script(StalledReply(1))
    began = asyncio.Event()

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        if message and "answers" not in message and "starts" not in message:
            began.set()

    async with asyncio.timeout(TEST_TIMEOUT), connect_client(stack, mode) as client:
        call = asyncio.create_task(client.call_tool("chat", {"prompt": "hi"}, progress_callback=tell))
        await began.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await upstream.wait_until(lambda: upstream.hangups == 1)
        await stack.wait_until_quiet()
        upstream.script(AnswerReply("again"))
        assert get_text(await client.call_tool("chat", {"prompt": "hi"})) == "again"


async def test_progress_comes_while_the_work_goes_on(stack: Stack, upstream: Upstream):
    """Each word before the next is written."""
    upstream.script(GatedReply(("one ", "two")))
    messages: asyncio.Queue[str | None] = asyncio.Queue()

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        messages.put_nowait(message)

    async with asyncio.timeout(TEST_TIMEOUT), connect_client(stack) as client:
        call = asyncio.create_task(client.call_tool("chat", {"prompt": "hi"}, progress_callback=tell))
        for word in ("one ", "two"):
            await upstream.release()
            while await messages.get() != word:
                pass
        assert get_text(await call) == "one two"


async def test_what_is_wrong_is_a_result_that_says_so(stack: Stack, upstream: Upstream):
    """With the argument and the fix, so that a model can correct the call."""
    upstream.script(ErrorReply(401, "authentication_error"))
    async with connect_client(stack) as client:
        for arguments, sentence in (
            ({}, "`prompt` is missing. chat takes `prompt`"),
            ({"prompt": 3}, "`prompt`: Expected `str`, got `int`"),
            ({"prompt": " "}, "`prompt` is empty"),
            ({"prompt": "hi", "model": "gpt-9"}, "`gpt-9` does not exist here"),
            ({"prompt": "hi"}, "refused the server's own credential"),
        ):
            result = await client.call_tool("chat", arguments)
            assert result.is_error
            assert sentence in get_text(result)
        read = await client.call_tool("file_read", {"path": "/etc/hostname"})
        assert read.is_error
        assert "tools executor" in get_text(read)
        with pytest.raises(MCPError, match="Unknown tool `x`"):
            await client.call_tool("x", {})


async def test_models_are_listed(stack: Stack):
    """By a tool that needs no model."""
    async with connect_client(stack) as client:
        result = await client.call_tool("list_models", {})
    jsonschema.validate(result.structured_content, OFFERS_BY_NAME["list_models"].build_tool().output_schema or {})
    assert "sonnet" in {model["key"] for model in result.structured_content["models"]}


@pytest.mark.parametrize("mode", PROTOCOL_MODES)
async def test_allowed_files_are_resources_and_tools_read_them(tools_stack: Stack, upstream: Upstream, mode: str):
    """Listed, read by address, read by a tool, asked about, sent with a prompt; commands run; others are refused."""
    file = tools_stack.folder / "files" / "two words.txt"
    file.write_text("alpha\nbeta\n")
    (tools_stack.folder / "files" / "raw").write_bytes(b"\xff\x00")
    upstream.script(AnswerReply("It says alpha."))
    async with connect_client(tools_stack, mode) as client:
        found = {resource.title: resource for resource in (await client.list_resources()).resources}
        address = found[str(file)].uri
        assert address == file.as_uri()
        [content] = (await client.read_resource(address)).contents
        assert getattr(content, "text", None) == "alpha\nbeta\n"
        [raw] = (await client.read_resource(found[str(file.parent / "raw")].uri)).contents
        assert getattr(raw, "blob", None) == "/wA="
        [folder] = (await client.read_resource(found[str(file.parent)].uri)).contents
        assert "two words.txt" in getattr(folder, "text", "")
        [template] = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "file://{+path}"
        for wrong in ("file:///etc/passwd", "http://localhost/etc/passwd"):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(wrong)
            assert "root:" not in str(caught.value)
        assert get_text(await client.call_tool("file_read", {"path": str(file), "limit": 1})).strip() == "alpha"
        about = await client.call_tool("analyze", {"prompt": "What?", "context_files": [str(file)]})
        assert get_text(about) == "It says alpha."
        ran = await client.call_tool("bash", {"command": "ls", "cwd": str(file.parent)})
        assert "two words.txt" in get_text(ran)
        assert ran.structured_content["returncode"] == 0
        assert "review_file" in {prompt.name for prompt in (await client.list_prompts()).prompts}
        prompt = await client.get_prompt("review_file", {"path": str(file), "focus": "spelling"})
        assert "spelling" in prompt.messages[0].content.text  # pyright: ignore[reportAttributeAccessIssue]
        assert prompt.messages[1].content.resource.text == "alpha\nbeta\n"  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(MCPError, match="`path` must be"):
            await client.get_prompt("review_file", {})


async def test_without_a_key_nothing_is_said(stack: Stack):
    """401 in the protocol's envelope, to every method."""
    async with httpx2.AsyncClient(base_url=stack.url, headers=ACCEPT) as http:
        for method in ("POST", "GET", "DELETE", "OPTIONS"):
            response = await http.request(method, "/mcp", json=PROBE if method == "POST" else None)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json()["error"]["data"]["code"] == "invalid_api_key"


@pytest.mark.wire(74)
async def test_a_probe_of_the_new_era_is_answered_without_a_session(stack: Stack):
    """`server/discover` says which versions there are."""
    headers = {**ACCEPT, "mcp-protocol-version": "2026-07-28", "mcp-method": "server/discover"}
    response = await stack.client.post("/mcp", json=PROBE, headers=headers)
    assert response.status_code == 200
    assert "2026-07-28" in response.text
    assert "mcp-session-id" not in response.headers


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [("host", "evil.example", 421), ("origin", "https://evil.example", 403), ("origin", "null", 403)],
)
async def test_a_page_that_leads_its_own_name_here_gets_nothing(stack: Stack, name: str, value: str, status: int):
    """Though it had the key."""
    response = await stack.client.post("/mcp", json=PROBE, headers={**ACCEPT, name: value})
    assert response.status_code == status


@pytest.mark.parametrize("host", ["127.0.0.1:8020", "[::1]:8020", "localhost", "api:8020", "a.localhost", "c.example"])
def test_names_that_are_nobody_s_to_redirect_are_known(host: str):
    """And those that the owner allows."""
    hosts = HostPolicy(frozenset({"c.example"}), frozenset({"https://page.example"}))
    hosts.check(host, "")
    hosts.check(host, f"http://{host}")
    hosts.check(host, "https://page.example")


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "[::1"])
def test_other_names_are_not_known(host: str):
    """Whatever they begin with."""
    with pytest.raises(Problem) as caught:
        HostPolicy(frozenset({"c.example"})).check(host, "")
    assert caught.value.status == 421


def bridge(stack: Stack, *arguments: str, key: str | None = None) -> StdioServerParameters:
    """The command that desktop programs start."""
    environment = {"HOME": str(stack.folder), "API_SECRET_TOKEN": key or stack.key, "PYTHONPATH": str(REPOSITORY)}
    command = ["-m", "cli", "mcp", *arguments]
    return StdioServerParameters(command=sys.executable, args=command, env=environment, cwd=str(stack.folder))


@pytest.mark.parametrize("mode", PROTOCOL_MODES)
async def test_the_bridge_carries_everything(stack: Stack, upstream: Upstream, mode: str):
    """Results and progress, in both eras."""
    upstream.script(AnswerReply(("Hello", " world")))
    messages: list[str | None] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        messages.append(message)

    async with (
        asyncio.timeout(TEST_TIMEOUT),
        Client(stdio_client(bridge(stack, "--url", stack.url)), mode=mode) as client,
    ):
        assert get_text(await client.call_tool("chat", {"prompt": "hi"}, progress_callback=tell)) == "Hello world"
        await wait_until(lambda: "Hello" in messages)


@pytest.mark.parametrize(
    ("key", "url", "sentence"),
    [(None, "http://127.0.0.1:9", "make run"), ("sk-wrong-0123456789ab", "", "API_SECRET_TOKEN")],
)
async def test_the_bridge_says_why_it_can_t(stack: Stack, tmp_path: Path, key: str | None, url: str, sentence: str):
    """On stderr, and ends with 1; stdout is the protocol's."""
    parameters = bridge(stack, "--url", url or stack.url, key=key)
    process = await asyncio.create_subprocess_exec(
        parameters.command,
        *parameters.args,
        env=parameters.env,
        cwd=tmp_path,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(TEST_TIMEOUT):
        output, errors = await process.communicate(b"")
    assert (process.returncode, output) == (1, b"")
    assert sentence in errors.decode()


async def test_a_client_that_only_listens_does_not_hold_up_the_end(upstream: Upstream):
    """Its stream is ended, in good order, before the grace of answers under way is over."""
    settings = {"DRAIN_TIMEOUT": "600"}
    async with asyncio.timeout(TEST_TIMEOUT), Stack(upstream.url, pool_size=0, settings=settings) as stack:
        headers = {**ACCEPT, "content-type": "application/json"}
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        answer = await stack.client.post("/mcp", json=request, headers=headers)
        session = {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        async with stack.client.stream("GET", "/mcp", headers={**ACCEPT, **session}) as listening:
            assert listening.status_code == 200
            assert await stack.api.stop() == 0
            assert [chunk async for chunk in listening.aiter_bytes() if chunk.startswith(b"data:")] == []
        assert "Traceback" not in stack.read_logs()
