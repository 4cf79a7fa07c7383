"""The official conformance suite of MCP passes every scenario that applies to this server."""

from pathlib import Path

import pytest

from tests.support.conformance import add_key_proxy, install_suite, list_scenarios, run_scenario
from tests.support.manual import find_section
from tests.support.stack import Stack

APPLY = (
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "server-sse-multiple-streams",
    "dns-rebinding-protection",
)


def list_other_scenarios() -> set[str]:
    """Lists the scenarios that the documents name as not applicable."""
    text = find_section("Conformance")
    return {
        name.strip("`")
        for line in text.splitlines()
        if line.startswith("| `")
        for name in line.split(" | ")[0].strip("| ").split(", ")
    }


@pytest.mark.timeout(900)
async def test_every_scenario_that_applies_passes(stack: Stack, tmp_path: Path):
    """The documents have the reason for each of the others."""
    if reason := await install_suite():
        pytest.skip(reason)
    assert await list_scenarios() == {*APPLY} | list_other_scenarios()
    assert not {*APPLY} & list_other_scenarios()
    async with add_key_proxy(stack) as url:
        for name in APPLY:
            status, output = await run_scenario(name, url, tmp_path)
            assert status == 0, f"{name}: {output}"
