"""The rules of tools, of calls and of their results."""

import re
from collections.abc import Callable, Iterator, Mapping

from jsonschema import Draft202012Validator, FormatChecker, SchemaError

from tests.support.scripted.service_request import Json, Request, to_blocks

NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}\Z")
PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}\Z")
CALL_ID = re.compile(r"[a-zA-Z0-9_-]+\Z")
NO_FORMATS = FormatChecker(formats=())  # patterns are ECMA-262, which Python can't check
ROOT_UNIONS = ("oneOf", "allOf", "anyOf")


def _custom_schemas(request: Request) -> Iterator[tuple[str, object]]:
    for number, tool in enumerate(request.tools):
        if tool.get("type") in {None, "custom"}:
            yield f"tools.{number}.custom.input_schema", tool.get("input_schema")


def find_tool_names(request: Request) -> Iterator[str]:
    """Names are short and plain."""
    for number, tool in enumerate(request.tools):
        if not NAME.match(str(tool.get("name", ""))):
            yield f"tools.{number}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"


def find_repeated_tools(request: Request) -> Iterator[str]:
    """Two tools have two names."""
    names = [tool.get("name") for tool in request.tools]
    if len(set(names)) < len(names):
        yield "tools: Tool names must be unique."


def find_property_names(request: Request) -> Iterator[str]:
    """The top level of a schema has plain names too."""
    for at, schema in _custom_schemas(request):
        properties = schema.get("properties") if isinstance(schema, dict) else None
        for name in properties if isinstance(properties, dict) else ():
            if not PROPERTY.match(name):
                yield f"{at}.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{{1,64}}$'"


def find_schemas(request: Request) -> Iterator[str]:
    """A schema is that of an object, and a JSON Schema at all."""
    for at, schema in _custom_schemas(request):
        if not isinstance(schema, dict):
            yield f"{at}: Field required"
        elif schema.get("type") != "object":
            yield f"{at}.type: Input should be 'object'"
        else:
            try:
                Draft202012Validator.check_schema(schema, format_checker=NO_FORMATS)
            except SchemaError as error:
                yield (
                    f"{at}: JSON schema is invalid. It must match JSON Schema draft 2020-12 "
                    f"(https://json-schema.org/draft/2020-12): {error.message}"
                )


def find_root_unions(request: Request) -> Iterator[str]:
    """No choice between schemas at the top."""
    for at, schema in _custom_schemas(request):
        if isinstance(schema, dict) and any(name in schema for name in ROOT_UNIONS):
            yield f"{at}: input_schema does not support oneOf, allOf, or anyOf at the top level"


def find_call_ids(request: Request) -> Iterator[str]:
    """A call's id is plain, and its own."""
    seen: set[str] = set()
    for place in request.blocks():
        if place.kind == "tool_use":
            name = str(place.block.get("id", ""))
            if not CALL_ID.match(name):
                yield f"{place.at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
            if name in seen:
                yield f"{place.at}: `tool_use` ids must be unique"
            seen.add(name)


def find_calls(request: Request) -> Iterator[str]:
    """A call has a tool's name and an object for its input."""
    for place in request.blocks():
        if place.kind == "tool_use":
            if not isinstance(place.block.get("input"), dict):
                yield f"{place.at}.tool_use.input: Input should be a valid dictionary"
            if not NAME.match(str(place.block.get("name", ""))):
                yield f"{place.at}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"


def find_results(request: Request) -> Iterator[str]:
    """Each call has one result in the next message, at its beginning; each result has a call."""
    open_calls: list[str] = []
    for number, message in enumerate(request.messages):
        blocks = to_blocks(message["content"])
        results = [(index, block) for index, block in enumerate(blocks) if block["type"] == "tool_result"]
        yield from _check_results(f"messages.{number}", results, open_calls)
        open_calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
    if open_calls:
        yield _unanswered(f"messages.{len(request.messages) - 1}", open_calls)


def _check_results(at: str, results: list[tuple[int, Json]], calls: list[str]) -> Iterator[str]:
    answered = [block.get("tool_use_id") for _, block in results]
    if missing := [call for call in calls if call not in answered]:
        yield _unanswered(at, missing)
    for place, (index, block) in enumerate(results):
        if (name := block.get("tool_use_id")) not in calls:
            yield (
                f"{at}.content.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {name}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        if answered.count(name) > 1:
            yield f"{at}.content.{index}: each tool_use must have a single result. Found multiple with id: {name}"
        if index != place:
            yield f"{at}.content.{index}: `tool_result` blocks must come before any other content"


def _unanswered(at: str, calls: list[str]) -> str:
    return (
        f"{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(calls)}. Each "
        "`tool_use` block must have a corresponding `tool_result` block in the next message."
    )


TOOL_RULES: Mapping[str, Callable[[Request], Iterator[str]]] = {
    "tool_names": find_tool_names,
    "tool_unique": find_repeated_tools,
    "schemas": find_schemas,
    "property_names": find_property_names,
    "root_unions": find_root_unions,
    "call_ids": find_call_ids,
    "calls": find_calls,
    "results": find_results,
}
