"""A kernel without Landlock: chats go on, no file is read and no command run, and everybody is told why."""

from tests.support.scripted.upstream import Upstream
from tests.support.stack import Stack, wait_until

REASON = "this kernel has no Landlock: boot one of 5.13 or newer"
ASKS = {
    "/api/code": {"prompt": "Hi"},
    "/api/analyze": {"prompt": "Hi", "context_files": ["a.txt"]},
    "/api/tools/bash": {"command": "ls"},
    "/api/tools/file-read": {"path": "a.txt"},
}


async def test_without_landlock_chats_work_and_tools_are_503_with_the_reason(upstream: Upstream):
    """In the answer, in the health and in the log, with what to do."""
    landless = "tests.support.without_landlock"
    async with Stack(upstream.url, tools={}, tools_module=landless, wait_ready=False) as stack:
        (stack.files / "a.txt").write_text("here\n")

        async def is_told() -> bool:
            health = await stack.fetch_health()
            return bool(health and health["tools"] and REASON in health["tools"][0]["problem"])

        await wait_until(is_told)
        health = await stack.fetch_health()
        assert health
        assert (health["status"], health["tools"][0]["up"]) == ("degraded", False)
        for path, ask in ASKS.items():
            response = await stack.client.post(path, json=ask)
            assert (response.status_code, response.json()["code"]) == (503, "tools_unavailable"), response.text
            assert REASON in response.json()["detail"]
        chat = await stack.client.post("/api/chat", json={"prompt": "Hi"})
        assert (chat.status_code, chat.json()["result"]) == (200, "Hello world!")
        assert [
            each.conversation[0]["content"][0]["text"] for each in upstream.requests if each.is_message_request
        ] == ["Hi"]
        assert stack.tools
        log = stack.tools.log.read_text()
        assert "no tools are served" in log
        assert REASON in log
