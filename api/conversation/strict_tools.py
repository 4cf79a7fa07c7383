"""Tool calls held against the schemas they promise to meet.

Law: the arguments of a `strict` tool are given out only once they are whole and valid; if they are not, the answer
fails honestly and may be asked for again; only the token limit may cut them off. Other tools' arguments stream as the model writes them, as OpenAI's do, and a
violation is the client's to report back to the model as the tool's result.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from api.conversation.schemas import build_validator
from api.conversation.tools import ToolSet
from shared.errors import ErrorKind
from shared.events import Done, Event, Failed, ToolArgumentsDelta, ToolCall
from shared.json_schema.validator import Validator


def strict_schemas(offered: ToolSet) -> dict[str, Validator]:
    """What checks the arguments of the strict tools, by their names. Raises Problem (400)."""
    return {tool.name: build_validator(tool) for tool in offered.tools if tool.name in offered.strict}


async def enforce(events: AsyncGenerator[Event], schemas: Mapping[str, Validator]) -> AsyncGenerator[Event]:
    """The events, with the arguments of strict tools in one piece each; Failed when they break their promise."""
    name = ""
    arguments = ""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, ToolArgumentsDelta) and name in schemas:
                arguments += event.json
                continue
            if isinstance(event, ToolCall | Done) and name in schemas:
                # What the token limit cut off is no violation: the finish reason says so.
                cut = isinstance(event, Done) and event.stop_reason == "max_tokens"
                if not cut and (wrong := schemas[name].find_fault(arguments)):
                    yield Failed(
                        ErrorKind.OUTPUT_VALIDATION_FAILED,
                        f"The arguments for `{name}` do not meet its schema: {wrong}.",
                    )
                    return
                yield ToolArgumentsDelta(arguments)
            if isinstance(event, ToolCall | Done):
                name = event.name if isinstance(event, ToolCall) else ""
                arguments = ""
            yield event
