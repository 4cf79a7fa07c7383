"""Whatever stands in the place of a field, a request is understood or refused: nothing else happens."""

import contextlib
import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.conversation.parameters import Policy
from api.core.problems import Problem
from api.dialects.anthropic.decode import decode
from api.dialects.anthropic.tokens import estimate_tokens
from tests.support.messages_requests import FOUND, HI, PICTURE, THOUGHT, TOOL, USE, WEB, assistant, system, user_says
from tests.unit.api.dialects.anthropic.test_values import ADDED, REFERENCE, change

RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "a"}, PICTURE, FOUND]}
DOCUMENT = {"type": "document", "source": {"type": "url", "url": "https://a.example"}, "title": "T", "citations": {}}
PARTS = {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}}
COMPACTION = {"type": "compaction", "content": "a", "tool_changes": [change("tool_removal", REFERENCE)]}
BODY: dict[str, Any] = {
    "model": "sonnet",
    "max_tokens": 9000,
    "system": [{"type": "text", "text": "a"}],
    "messages": [
        *HI,
        {**system([{"type": "text", "text": "b"}, change("tool_addition", ADDED)]), "clear_at": "never"},
        assistant(THOUGHT, {"type": "redacted_thinking", "data": "eA=="}, COMPACTION, USE),
        user_says(RESULT, DOCUMENT, PARTS, {"type": "mid_conv_system", "content": "c"}),
        {**system("d"), "output_config": {"effort": "low"}},
    ],
    "tools": [TOOL, WEB, {"type": "bash_20250124", "name": "bash"}],
    "tool_choice": {"type": "tool", "name": "Read", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "updates"},
    "output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "stop_sequences": ["x"],
    "stream": True,
    "temperature": 1,
}

junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "name", "content"]), inner),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside of another."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield (*path, name)
        yield from places(each, (*path, name))


@given(st.lists(st.tuples(st.sampled_from(list(places(BODY))), junk), min_size=1, max_size=2))
def test_junk_in_any_place_is_a_problem_or_a_request(changes: list[tuple[tuple[Any, ...], Any]]):
    """A request whose tokens can be counted and whose names fit into a header."""
    body = copy.deepcopy(BODY)
    for path, value in changes:
        inside = body
        try:
            for name in path[:-1]:
                inside = inside[name]
            inside[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            # The place went with the change before.
            continue
    with contextlib.suppress(Problem):
        understood = decode(json.dumps(body).encode(), Policy())
        assert estimate_tokens(understood) > 0
        assert all(name.isascii() and name.isprintable() and len(name) <= 64 for name in understood.ignored)
