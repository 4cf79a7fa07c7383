"""What the real executors tell of themselves at `GET /metrics`."""

import re

from tests.support.stack import Stack


async def test_the_queue_of_each_executor_is_told(tools_stack: Stack):
    """A tools executor's is four times as long: its jobs are short."""
    metrics = (await tools_stack.client.get("/metrics")).text
    places = dict(
        re.findall(r'^claude_api_executor_queue_capacity\{executor="([^"]+)"\} (\S+)$', metrics, re.MULTILINE)
    )
    assert places == {"claude-1": "32.0", "tools-1": "128.0"}
