"""Validates the arguments of strict tools against their schemas.

Invariants: the arguments of a `strict` tool are sent only once they are complete and valid; otherwise the answer fails and
may be retried. Only the token limit may cut them off. Other tools' arguments stream as the model writes them, as OpenAI's
do; the client reports a violation to the model as the tool's result.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from api.conversation.schemas import build_validator
from api.conversation.tools import ToolSet
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, ToolArgumentsDelta, ToolCall
from shared.json_schema.validator import Validator


def strict_schemas(tool_set: ToolSet) -> dict[str, Validator]:
    """Returns the validators of the strict tools, by name. Raises Problem (400)."""
    return {tool.name: build_validator(tool) for tool in tool_set.tools if tool.name in tool_set.strict}


async def enforce(events: AsyncGenerator[Event], schemas: Mapping[str, Validator]) -> AsyncGenerator[Event]:
    """Yields the events, with the arguments of each strict tool in one piece; Failed if they violate its schema."""
    name = ""
    arguments = ""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, ToolArgumentsDelta) and name in schemas:
                arguments += event.json
                continue
            if isinstance(event, ToolCall | Done) and name in schemas:
                # Arguments cut off by the token limit are not a violation: the finish reason says so.
                cut = isinstance(event, Done) and event.stop_reason == "max_tokens"
                if not cut and (fault := schemas[name].find_fault(arguments)):
                    yield Failed(
                        ErrorKind.OUTPUT_VALIDATION_FAILED,
                        f"The arguments for `{name}` do not meet its schema: {fault}.",
                    )
                    return
                yield ToolArgumentsDelta(arguments)
            if isinstance(event, ToolCall | Done):
                name = event.name if isinstance(event, ToolCall) else ""
                arguments = ""
            yield event
