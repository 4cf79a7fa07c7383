"""The OpenAPI document is true: of the code that it is made of, and of what the real programs answer to anything at all."""

import ast
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from api.conversation.parameters import Policy
from api.core.problems import STATUS_AND_CODE
from api.dialects.openai_chat.decode import decode
from api.dialects.openai_completions.decode import decode as read_completion
from api.dialects.openai_parameters import CHAT_PARAMETERS, COMPLETIONS_PARAMETERS
from api.media.blocks import RemoteDocument, RemoteMedia
from api.openapi.document import list_handlers
from api.openapi.example_requests import COMPLETIONS
from api.openapi.replies import AT_THE_EDGE, CHAT_ERRORS, OF_TOOLS
from cli.up import preflight
from tests.support.document import build_app, build_document
from tests.support.examples import count_examples
from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import REPOSITORY, Stack
from tests.support.timeouts import TEST_TIMEOUT

DOCUMENT = build_document()
CHAT_OPERATION = DOCUMENT["paths"]["/v1/chat/completions"]["post"]
EXAMPLES: dict[str, Any] = CHAT_OPERATION["requestBody"]["content"]["application/json"]["examples"]
RESPONSE_EXAMPLES: dict[str, Any] = DOCUMENT["paths"]["/v1/responses"]["post"]["requestBody"]["content"][
    "application/json"
]["examples"]
OPERATIONS = [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]
KEYED = [(method, path) for method, path in OPERATIONS if "security" not in DOCUMENT["paths"][path][method]]
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
SENT = [(method, path, POSITIVE) for method, path in OPERATIONS] + [
    (method, path, NEGATIVE) for method, path in OPERATIONS if "parameters" in DOCUMENT["paths"][path][method]
]
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
# Each example is a request to real programs, so a failure is shown as it was found instead of being made small.
MANNER = settings(
    max_examples=count_examples(3, 30),
    deadline=None,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def validator(schema: Any) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def described(place: str, schema: Any) -> Iterator[tuple[str, str]]:
    """Every property in a schema, and what is said of it."""
    for name, field in schema.get("properties", {}).items():
        # A tag is its only value.
        yield f"{place}.{name}", field.get("description", "the tag" if len(field.get("enum", ())) == 1 else "")
        yield from described(f"{place}.{name}", field)
    for part in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())):
        yield from described(place, part)


def test_document_is_valid_openapi():
    """It keeps to the schema of OpenAPI 3.1, and to JSON Schema."""
    schemathesis.openapi.from_dict(deepcopy(DOCUMENT)).validate()
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_route_is_in_the_document_and_every_operation_has_a_route(tmp_path: Path):
    """OPTIONS is the framework's own, for browsers; /mcp has its own protocol and schemas; /docs is the page."""
    routes = {
        (method.lower(), route.path_format)
        for route in build_app(tmp_path).routes
        for method in getattr(route, "methods", set[str]()) - {"OPTIONS"}
        if not route.path.startswith("/docs")
    }
    assert routes == set(OPERATIONS)
    assert {(method, path) for path, method, _ in list_handlers(build_app(tmp_path))} == routes


def test_every_body_has_an_example():
    """To copy, and for the page's forms."""
    bodies = [DOCUMENT["paths"][path][method].get("requestBody") for method, path in OPERATIONS]
    assert all(body["content"]["application/json"]["examples"] for body in bodies if body)
    assert sum(1 for body in bodies if body) > 10


def test_every_parameter_of_a_chat_is_described():
    """With what becomes of it."""
    properties = DOCUMENT["components"]["schemas"]["ChatCompletionRequest"]["properties"]
    assert {name: properties[name]["x-treatment"] for name in CHAT_PARAMETERS} == {
        n: p.treatment for n, p in CHAT_PARAMETERS.items()
    }
    assert all(len(properties[name]["description"]) > 10 for name in CHAT_PARAMETERS)


def test_every_parameter_of_a_completion_is_described():
    """As a chat's are."""
    properties = DOCUMENT["components"]["schemas"]["CompletionRequest"]["properties"]
    assert {name: properties[name]["x-treatment"] for name in COMPLETIONS_PARAMETERS} == {
        name: parameter.treatment for name, parameter in COMPLETIONS_PARAMETERS.items()
    }


@pytest.mark.parametrize("name", COMPLETIONS)
def test_example_of_a_completion_is_accepted(name: str):
    """By the decoder, and by its own schema."""
    sent = COMPLETIONS[name]["value"]
    read_completion(msgspec.json.encode(sent), Policy())
    validator({"$ref": "#/components/schemas/CompletionRequest"}).validate(sent)


def test_strict_parameters_are_refused_in_the_document_too():
    """What the owner decided is what a reader sees."""
    request = build_document(reject_unsupported_params=True, max_choices=7)["components"]["schemas"][
        "ChatCompletionRequest"
    ]
    assert request["properties"]["temperature"]["x-treatment"] == "rejected"
    assert request["properties"]["n"]["maximum"] == 7


def test_the_longest_prompt_is_the_setting_s():
    """In each of the requests that have one."""
    for length in (100_000, 123):
        schemas = build_document(max_prompt=length)["components"]["schemas"]
        for name in ("ChatRequest", "CodeRequest", "AnalyzeRequest"):
            assert schemas[name]["properties"]["prompt"]["maxLength"] == length


def test_every_field_is_described():
    """In the components and in what stands inside operations."""
    found = [
        *(pair for name, schema in DOCUMENT["components"]["schemas"].items() for pair in described(name, schema)),
        *(
            pair
            for path, methods in DOCUMENT["paths"].items()
            for operation in methods.values()
            for response in operation["responses"].values()
            for content in response.get("content", {}).values()
            for pair in described(path, content["schema"])
        ),
    ]
    assert len(found) > 100
    assert [place for place, words in found if not words] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_of_a_request_is_accepted(name: str):
    """By the decoder, and by its own schema."""
    sent = EXAMPLES[name]["value"]
    decode(msgspec.json.encode(sent), Policy())
    validator({"$ref": "#/components/schemas/ChatCompletionRequest"}).validate(sent)


def test_files_in_examples_are_those_of_the_folder_that_make_run_makes(tmp_path: Path):
    """An example runs as it is."""
    folder = preflight.create_workspace(tmp_path)
    examples = [
        each["value"]
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
        for each in operation.get("requestBody", {"content": {}})["content"]
        .get("application/json", {})
        .get("examples", {})
        .values()
    ]
    files = [file for value in examples for file in (*value.get("context_files", ()), value.get("path"))]
    named = [file for file in files if file]
    assert named
    assert [file for file in named if not (folder / file).is_file()] == []


def test_every_example_of_an_answer_meets_its_schema():
    """Errors too."""
    of_operations = [
        DOCUMENT["paths"][path]["post"]["responses"] for path in ("/v1/chat/completions", "/v1/completions")
    ]
    responses = [
        *(response for responses in of_operations for response in responses.values()),
        *DOCUMENT["components"]["responses"].values(),
    ]
    contents = [content for response in responses for content in response.get("content", {}).values()]
    pairs = [
        (content["schema"], each["value"]) for content in contents for each in content.get("examples", {}).values()
    ]
    assert len(pairs) > 30
    for schema, value in pairs:
        if isinstance(value, str):
            _ = chunks_of(value.encode(), schema) if "[DONE]" in value else events_of(value.encode())
        else:
            validator(schema).validate(value)


def test_every_code_of_an_error_is_in_the_document():
    """Those of failures, and those that are written where a request is refused."""
    shown = {
        code
        for response in DOCUMENT["components"]["responses"].values()
        for code in response["content"]["application/json"]["examples"]
    }
    of_chat = {code for kind, (_, code) in STATUS_AND_CODE.items() if kind not in OF_TOOLS}
    assert of_chat | set(written_codes()) == shown
    assert {f"Error{status}" for status in (*CHAT_ERRORS, *AT_THE_EDGE, 405, 421, 426)} == set(
        DOCUMENT["components"]["responses"]
    )


def written_codes() -> Iterator[str]:
    place = {"Problem": 1, "invalid_problem": 2, "media_problem": 0}
    for path in REPOSITORY.joinpath("api").rglob("*.py"):
        if path.parent.name in {"mcp", "admin"} or path.name == "host_check.py":
            # Their errors are in another protocol, or in REST's envelope.
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in place:
                at = place[node.func.id]
                code = node.args[at] if len(node.args) > at else None
                if isinstance(code, ast.Constant) and str(code.value).isidentifier():
                    yield str(code.value)
                elif isinstance(code, ast.JoinedStr) and isinstance(fault := code.values[-1], ast.Constant):
                    # The code begins with the kind of the media.
                    yield from (f"{media.KIND}{fault.value}" for media in (RemoteMedia, RemoteDocument))
                elif node.func.id == "invalid_problem" and code is None:
                    yield "invalid_value"


def chunks_of(body: bytes, event: Any) -> list[Any]:
    """The chunks of a stream, which all meet their schema. Raises AssertionError."""
    events = [event for event in body.decode().split("\n\n") if event and not event.startswith(":")]
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    assert events[-1] == "data: [DONE]"
    chunks = [msgspec.json.decode(event.removeprefix("data: ")) for event in events[:-1]]
    for chunk in chunks:
        validator(event["properties"]["data"]["anyOf"][0]["contentSchema"]).validate(chunk)
    return chunks


def events_of(body: bytes) -> list[Any]:
    """The events of a streamed response, which all meet their schema. Raises AssertionError."""
    events = [event.split("\n") for event in body.decode().split("\n\n") if event and not event.startswith(":")]
    decoded = [msgspec.json.decode(data.removeprefix("data: ")) for _, data in events]
    assert [name for name, _ in events] == [f"event: {event['type']}" for event in decoded]
    for event in decoded:
        validator({"$ref": "#/components/schemas/StreamEvent"}).validate(event)
    return decoded


def checked(case: Any, response: Response) -> None:
    """Hold a response against the document. Raises on what is not in it."""
    try:
        case.validate_response(response, checks=CHECKS)
    except FailureGroup as failures:
        # It is no Exception, and would end the loop that other tests need.
        raise AssertionError(str(failures)) from None
    if response.headers.get("content-type", [""])[0].startswith("text/event-stream") and case.operation.path.startswith(
        "/v1"
    ):
        if "completions" not in case.operation.path:
            assert events_of(response.content)
            return
        described = DOCUMENT["paths"][case.operation.path][case.method.lower()]["responses"]["200"]["content"]
        assert chunks_of(response.content, described["text/event-stream"]["schema"])


def operation(stack: Stack, method: str, path: str) -> Any:
    # A copy, since what it reads it also changes.
    schema = schemathesis.openapi.from_dict(deepcopy(DOCUMENT))
    schema.config.update(base_url=stack.url)
    return schema[path][method.upper()]


def made_coherent(body: Any) -> None:
    """Take out of a request what is seldom right by chance, so that the rest of it reaches the model."""
    if not isinstance(body, dict):
        return
    body["model"] = "sonnet"
    if not body.get("stream"):
        body.pop("stream_options", None)
    if "prompt" in body:
        body["n"] = body["best_of"] = None
        body["prompt"] = "Hello!"
    if "input" in body:
        body["input"] = "Hello!"
        body.pop("previous_response_id", None)
    if not isinstance(body.get("messages"), list):
        return
    body["messages"].append({"role": "user", "content": "Hello!"})
    for message in body["messages"]:
        if isinstance(message, dict):
            message["role"] = {"tool": "user", "function": "user"}.get(str(message.get("role")), message.get("role"))
            for name in ("tool_calls", "function_call"):
                message.pop(name, None)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path", "mode"), SENT, ids=lambda part: getattr(part, "value", part))
async def test_whatever_is_sent_the_answer_is_in_the_document(
    tools_stack: Stack, upstream: Upstream, method: str, path: str, mode: GenerationMode
):
    """No fault of the server's, no status, header or body that the document does not tell of."""
    upstream.script(AnswerReply(("Hello", " world", "!"), thinking="Hm."))
    tested = operation(tools_stack, method, path)

    @MANNER
    @given(case=tested.as_strategy(generation_mode=mode), coherent=st.booleans())
    def ask(case: Any, *, coherent: bool) -> None:
        if coherent:
            made_coherent(case.body)
        checked(case, case.call(headers=tools_stack.headers, timeout=TEST_TIMEOUT))

    await anyio.to_thread.run_sync(ask)


@pytest.mark.parametrize(("method", "path"), KEYED)
async def test_without_a_key_the_answer_is_the_documented_401(stack: Stack, method: str, path: str):
    """Before anything is read of what was sent."""
    sent = {"body": EXAMPLES["hello"]["value"]} if "requestBody" in DOCUMENT["paths"][path][method] else {}
    case = operation(stack, method, path).Case(
        path_parameters={"model_id": "sonnet", "response_id": "resp_1", "name": "x"}, **sent
    )
    response = await anyio.to_thread.run_sync(case.call)
    assert response.status_code == 401
    checked(case, response)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_example_of_a_request_is_answered(stack: Stack, upstream: Upstream, name: str):
    """By the real programs, with what the document promises."""
    upstream.script(AnswerReply('{"name": "x", "minutes": 1, "ingredients": []}'))
    if name == "structured":
        upstream.script(
            AnswerReply(tools=[("toolu_1", "StructuredOutput", ['{"name":"x","minutes":1,"ingredients":[]}'])])
        )
    case = operation(stack, "post", "/v1/chat/completions").Case(body=EXAMPLES[name]["value"])
    response = await anyio.to_thread.run_sync(lambda: case.call(headers=stack.headers, timeout=TEST_TIMEOUT))
    assert response.status_code == 200, response.text
    checked(case, response)


@pytest.mark.parametrize("name", RESPONSE_EXAMPLES)
async def test_example_of_a_request_for_a_response_is_answered(stack: Stack, upstream: Upstream, name: str):
    """By the real programs, with what the document promises."""
    recipe = '{"name":"x","minutes":1,"ingredients":[]}'
    upstream.script(
        AnswerReply(tools=[("toolu_1", "StructuredOutput", [recipe])]) if name == "structured" else AnswerReply("Hi")
    )
    case = operation(stack, "post", "/v1/responses").Case(body=RESPONSE_EXAMPLES[name]["value"])
    response = await anyio.to_thread.run_sync(lambda: case.call(headers=stack.headers, timeout=TEST_TIMEOUT))
    assert response.status_code == 200, response.text
    checked(case, response)


async def test_document_is_served_without_a_key(stack: Stack):
    """To tools that make clients of it."""
    response = await stack.client.get("/openapi.json", headers={"authorization": ""})
    assert response.json() == DOCUMENT
