"""A key of /mcp sees, and may use, what its scopes say: tools, resources and prompts alike."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from tests.support.mcp_client import PROTOCOL_MODES, connect_client, get_text
from tests.support.scripted.upstream import Upstream
from tests.support.stack import Stack
from tests.support.timeouts import TEST_TIMEOUT

TOOLS = {
    "chat": {"chat"},
    "code": {"code", "analyze"},
    "files": {"file_read"},
    "bash": {"bash"},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "chat": {"prompt": "hi"},
    "code": {"prompt": "hi"},
    "analyze": {"prompt": "hi"},
    "file_read": {"path": "x"},
    "bash": {"command": "ls"},
}


@pytest.fixture(scope="module")
async def tools_stack(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with files and commands."""
    async with Stack(shared_upstream.url, tools={"ALLOWED_COMMANDS": "ls"}) as stack:
        yield stack


async def key(stack: Stack, *scopes: str, **more: Any) -> dict[str, str]:
    """A new key with these scopes, as the headers that send it."""
    name = "-".join((*scopes, *more)) + "-of-mcp"
    response = await stack.client.post("/api/admin/keys", json={"name": name, "scopes": scopes, **more})
    assert response.status_code == 201, response.text
    return {"authorization": f"Bearer {response.json()['key']}"}


@pytest.mark.parametrize("mode", PROTOCOL_MODES)
async def test_a_key_sees_and_may_call_only_the_tools_of_its_scopes(tools_stack: Stack, mode: str):
    """Of each scope, in both eras; what it may not call says which scope it takes."""
    for scope, tools in TOOLS.items():
        mine = await key(tools_stack, "mcp", scope)
        async with connect_client(tools_stack, mode, mine) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == {*tools, "list_models"}
            for name in ARGUMENTS.keys() - tools:
                result = await client.call_tool(name, ARGUMENTS[name])
                assert result.is_error
                assert "does not have the scope" in get_text(result)
            assert not (await client.call_tool("list_models")).is_error
        await tools_stack.client.delete(f"/api/admin/keys/mcp-{scope}-of-mcp")


async def test_resources_and_prompts_are_for_keys_that_may_read_files(tools_stack: Stack):
    """Who may not sees none, and reads none by guessing."""
    (tools_stack.files / "note.txt").write_text("marmalade")
    address = f"file://{tools_stack.files}/note.txt"
    async with connect_client(tools_stack, headers=await key(tools_stack, "mcp", "files")) as client:
        assert [resource.name for resource in (await client.list_resources()).resources if resource.name == "note.txt"]
        assert (await client.list_prompts()).prompts
        assert (await client.list_resource_templates()).resource_templates
    async with connect_client(tools_stack, headers=await key(tools_stack, "mcp", "chat")) as client:
        assert (await client.list_resources()).resources == []
        assert (await client.list_prompts()).prompts == []
        assert (await client.list_resource_templates()).resource_templates == []
        with pytest.raises(MCPError, match="does not have the scope `files`"):
            await client.read_resource(address)
        with pytest.raises(MCPError, match="does not have the scope `files`"):
            await client.get_prompt("review_file", {"path": f"{tools_stack.files}/note.txt"})


async def test_limits_and_models_of_a_key_hold_at_mcp_too(tools_stack: Stack):
    """A refusal is a result that says what is over; the list of models is the key's."""
    mine = await key(tools_stack, "mcp", "bash", requests_per_minute=1, models=["haiku"])
    async with connect_client(tools_stack, headers=mine) as client:
        assert not (await client.call_tool("bash", {"command": "ls"})).is_error
        refused = await client.call_tool("bash", {"command": "ls"})
        assert refused.is_error
        assert "requests_per_minute" in get_text(refused)
        models = (await client.call_tool("list_models")).structured_content
        assert models
        assert {"haiku", "sonnet"} & {model["key"] for model in models["models"]} == {"haiku"}


async def test_a_session_is_the_key_s_that_began_it(tools_stack: Stack):
    """Another key of the same scopes can't go on with it."""
    one, two = await key(tools_stack, "mcp", "chat", "files"), await key(tools_stack, "mcp", "chat", "code")
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    accept = {"accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(base_url=tools_stack.url, timeout=TEST_TIMEOUT) as client:
        begun = await client.post("/mcp", json=hello, headers={**one, **accept})
        session = {"mcp-session-id": begun.headers["mcp-session-id"], "mcp-protocol-version": "2025-06-18"}
        asked = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        assert (await client.post("/mcp", json=asked, headers={**one, **accept, **session})).status_code == 200
        assert (await client.post("/mcp", json=asked, headers={**two, **accept, **session})).status_code in {403, 404}
