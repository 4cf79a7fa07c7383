"""What a request leaves behind: nothing that only the collector of cycles finds, since that may come much later."""

import gc
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.conversation.drafts import Draft
from api.conversation.turn_request import TurnRequest
from api.dialects.openai_responses.running_responses import RunningResponse
from api.http.drain import Drain
from api.settings import Settings
from shared.turn import Message, Text, Turn

TOKEN = "sk-local-0f1e2d3c4b5a6978"
LARGE = "word " * 100_000
CONVERSATION = {"max_tokens": 9, "messages": [{"role": "user", "content": LARGE}]}
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {**CONVERSATION, "n": 3},
    "/v1/messages": CONVERSATION,
    "/v1/messages/count_tokens": CONVERSATION,
    "/v1/responses": {"input": LARGE},
    "/v1/responses/input_tokens": {"input": LARGE},
    "/v1/completions": {"prompt": LARGE, "n": 2},
    "/api/chat": {"prompt": LARGE[:90_000]},
}
HEAVY = (Turn, TurnRequest, Draft, Message, Text, RunningResponse)


@pytest.fixture
def uncollected() -> Generator[list[Any]]:
    """What is found in cycles, instead of being freed, after the block is left by `gc.collect`."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        gc.collect()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", REQUESTS)
async def test_a_request_leaves_no_cycle_with_its_body(
    path: str,
    stream: bool,  # noqa: FBT001
    tmp_path: Path,
    uncollected: list[Any],
):
    """Whether it is answered whole or as a stream; here there is no executor, so that all fail."""
    settings = Settings(api_secret_token=SecretStr(TOKEN), run_dir=tmp_path, data_dir=tmp_path)
    app: Any = create_app(settings, Drain(0))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1", headers={"authorization": f"Bearer {TOKEN}"}
    ) as client:
        for _ in range(2):
            status = (await client.post(path, json={**REQUESTS[path], "stream": stream})).status_code
            assert status in {200, 503}
        gc.collect()
        found = [each for each in uncollected if isinstance(each, HEAVY)]
        assert found == []
