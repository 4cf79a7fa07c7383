"""One trace from the client over the API and the executor to the CLI's run, sent to a collector."""

import json
import re
import secrets
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from shared.tracing import OtlpTracing, Tracing, build_tracing, parse_trace_id
from tests.observability.collector import Collector
from tests.support.mcp_client import PROTOCOL_MODES
from tests.support.scripted.upstream import AnswerReply, ErrorReply, ReceivedRequest, Upstream
from tests.support.stack import Stack, wait_until
from tests.support.timeouts import TEST_TIMEOUT

SECRET = "the-words-of-a-client"
ANSWER = "the-words-of-the-model"
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
# As a caller may send it: in two headers.
STATE = ("rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE")
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.fixture(scope="module")
async def traced() -> AsyncGenerator[tuple[Stack, Upstream, Collector]]:
    """Programs that send their traces."""
    with Collector() as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **QUICK}
        async with (
            Upstream() as upstream,
            # The API is asked for content, the executor is not: it has none to give.
            Stack(upstream.url, settings=settings, api_settings={CAPTURE: "true"}) as stack,
        ):
            yield stack, upstream, collector


async def ask(stack: Stack) -> tuple[str, str, Any]:
    """Ask with a trace of one's own: the trace, the caller's span, the response."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    response = await stack.client.post(
        "/v1/chat/completions",
        json={"model": "sonnet", "messages": [{"role": "user", "content": SECRET}]},
        headers=[
            ("traceparent", f"00-{trace}-{span}-01"),
            ("tracestate", STATE[0]),
            ("tracestate", STATE[1]),
            ("x-request-id", f"req-{trace}"),
        ],
    )
    return trace, span, response


async def test_a_request_is_one_trace_over_both_programs(traced: tuple[Stack, Upstream, Collector]):
    """Client → request → job → executor → CLI's run, each below the one before, each with what is known there."""
    stack, upstream, collector = traced
    upstream.script(AnswerReply((ANSWER,), input=12))
    trace, caller, response = await ask(stack)
    assert response.status_code == 200
    names = ("POST /v1/chat/completions", "chat sonnet", "executor.job", "cli.run")
    request, job, work, run = [await collector.named(name, trace) for name in names]
    assert [span.parent for span in (request, job, work, run)] == [caller, request.id, job.id, work.id]
    assert [span.service.rpartition("/")[2] for span in (request, job, work, run)] == ["api", "api", *["claude-1"] * 2]
    assert not any(span.failed for span in (request, job, work, run))
    assert {span.state for span in (request, job, work, run)} == {",".join(STATE)}
    assert request.attributes["http.route"] == "/v1/chat/completions"
    assert request.attributes["http.response.status_code"] == "200"
    assert job.attributes["gen_ai.operation.name"] == "chat"
    assert job.attributes["gen_ai.request.model"] == "sonnet"
    assert job.attributes["gen_ai.response.model"] == run.attributes["gen_ai.response.model"]
    assert job.attributes["gen_ai.usage.input_tokens"] == "12"
    assert job.attributes["gen_ai.response.finish_reasons"] == "end_turn"
    assert {span.attributes["claude_api.request_id"] for span in (request, job, work)} == {f"req-{trace}"}


async def test_the_logs_of_both_programs_have_the_trace(traced: tuple[Stack, Upstream, Collector]):
    """So that a line leads to its trace and back."""
    stack, upstream, _ = traced
    upstream.script(ErrorReply(400, "invalid_request_error"))
    trace, _, _ = await ask(stack)

    def read_lines() -> list[str]:
        return [line for line in stack.read_logs().splitlines() if f"request_id=req-{trace}" in line]

    await wait_until(lambda: any("path=/v1/chat/completions" in line for line in read_lines()))
    assert [line for line in read_lines() if f"trace_id={trace}" not in line] == []


async def test_a_job_that_fails_is_a_span_that_failed(traced: tuple[Stack, Upstream, Collector]):
    """With the kind of error."""
    stack, upstream, collector = traced
    upstream.script(ErrorReply(400, "invalid_request_error"))
    trace, _, _ = await ask(stack)
    for name in ("chat sonnet", "executor.job", "cli.run"):
        span = await collector.named(name, trace)
        assert span.failed
        assert span.attributes["error.type"]


async def test_content_is_in_the_job_s_span_where_it_was_asked_for_and_nowhere_else(
    traced: tuple[Stack, Upstream, Collector],
):
    """In the form of the conventions."""
    stack, upstream, collector = traced
    upstream.script(AnswerReply((ANSWER,)))
    trace, _, _ = await ask(stack)
    job = await collector.named("chat sonnet", trace)
    await collector.named("POST /v1/chat/completions", trace)
    await collector.named("executor.job", trace)
    assert json.loads(job.attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": SECRET}]}
    ]
    [answer] = json.loads(job.attributes["gen_ai.output.messages"])
    assert answer["parts"] == [{"type": "text", "content": ANSWER}]
    others = [span for span in collector.spans if span.name != "chat sonnet"]
    assert others
    assert not any(word in str(span.attributes) for span in others for word in (SECRET, ANSWER))


async def test_health_and_metrics_begin_no_trace(traced: tuple[Stack, Upstream, Collector]):
    """They are asked every few seconds."""
    stack, upstream, collector = traced
    upstream.script(AnswerReply((ANSWER,)))
    await stack.client.get("/health")
    await stack.client.get("/metrics")
    trace, _, _ = await ask(stack)
    await collector.named("POST /v1/chat/completions", trace)
    assert not any("/health" in span.name or "/metrics" in span.name for span in collector.spans)


def test_without_a_collector_nothing_is_loaded():
    """And a caller's trace goes on all the same."""
    assert type(build_tracing("api", {})) is Tracing
    assert (
        type(
            build_tracing("api", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"})
        )
        is Tracing
    )
    given = f"00-{'a' * 32}-{'b' * 16}-01"
    assert Tracing().start_span("x", given).traceparent == given
    assert Tracing().start_span("x", "nonsense").traceparent == ""


def test_a_callers_tracestate_goes_on_with_its_trace():
    """Whether spans are recorded or not; without a trace, or too long to be handed on, it is left out whole."""
    given, state = f"00-{'a' * 32}-{'b' * 16}-01", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    recording = OtlpTracing("api", {})
    try:
        for tracing in (Tracing(), recording):
            span = tracing.start_span("x", given, state=state)
            assert span.tracestate == state
            assert tracing.start_span("y", span.traceparent, state=span.tracestate).tracestate == state
            assert tracing.start_span("x", given).tracestate == ""
            assert tracing.start_span("x", "nonsense", state=state).tracestate == ""
            assert tracing.start_span("x", given, state="a=" + "b" * 600).tracestate == ""
            assert tracing.start_span("x", given, state="a=b\n").tracestate == ""
    finally:
        recording.close()


def test_another_protocol_than_is_spoken_is_told(capsys: pytest.CaptureFixture[str]):
    """Traces are sent all the same."""
    for protocol, words in (("http/protobuf", False), ("grpc", True)):
        OtlpTracing("api", {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}).close()
        assert ("requested=grpc" in re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)) is words


def test_content_is_only_told_when_that_was_asked_for():
    """The switch is off by default, and `false` is off."""
    for value, wanted in (("", False), ("false", False), ("true", True)):
        made = OtlpTracing("api", {CAPTURE: value})
        assert made.captures_content is wanted
        made.close()


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "00-1-2-01",
        f"ff-{'a' * 32}-{'b' * 16}-01",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        f"00-{'A' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'b' * 16}-01\n",
    ],
)
def test_what_is_no_traceparent_begins_nothing(bad: str):
    """By the rules of W3C's Trace Context."""
    assert parse_trace_id(bad) == ""


PROMPT: dict[str, Any] = {"messages": [{"role": "user", "content": SECRET}]}
# A request to each endpoint that calls the model.
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": PROMPT,
    "/v1/completions": {"prompt": SECRET},
    "/v1/responses": {"input": SECRET},
    "/v1/messages": {"max_tokens": 10, **PROMPT},
    "/api/chat": {"prompt": SECRET},
    "/api/code": {"prompt": SECRET},
    "/api/analyze": {"prompt": SECRET},
}


def caller() -> tuple[str, dict[str, str]]:
    """A trace of the caller's own, and the headers that hand it on."""
    trace = secrets.token_hex(16)
    return trace, {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01", "x-request-id": f"req-{trace}"}


async def logged(stack: Stack, trace: str, program: str) -> None:
    """Wait until a program has told of a request, in lines that each have both its id and its trace."""

    def lines() -> list[str]:
        log = (stack.folder / f"{program}.log").read_text(encoding="utf-8")
        return [line for line in log.splitlines() if f"request_id=req-{trace}" in line]

    await wait_until(lines)
    assert [line for line in lines() if f"trace_id={trace}" not in line] == []


@pytest.fixture(scope="module")
async def traced_tools_stack() -> AsyncGenerator[tuple[Stack, Upstream, Collector]]:
    """Programs that send their traces, and a tools executor, which can't."""
    with Collector() as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **QUICK}
        async with Upstream() as upstream, Stack(upstream.url, api_settings=settings, tools={}) as stack:
            yield stack, upstream, collector


@pytest.mark.parametrize("path", REQUESTS)
async def test_a_trace_continues_through_every_endpoint(
    traced_tools_stack: tuple[Stack, Upstream, Collector], path: str
):
    """The caller's, to the job and to the log."""
    stack, upstream, collector = traced_tools_stack
    upstream.script(AnswerReply((ANSWER,)))
    trace, headers = caller()
    response = await stack.client.post(path, json=REQUESTS[path], headers=headers)
    assert response.status_code == 200, response.text
    request = await collector.named(f"POST {path}", trace)
    job = await collector.named("chat sonnet", trace)
    assert job.parent == request.id
    await logged(stack, trace, "api")


@pytest.mark.parametrize("mode", PROTOCOL_MODES)
async def test_a_call_over_mcp_belongs_to_the_request_that_brought_it(
    traced_tools_stack: tuple[Stack, Upstream, Collector], mode: str
):
    """Not to the one that began the session."""
    stack, upstream, collector = traced_tools_stack
    upstream.script(AnswerReply((ANSWER,)))
    traces: list[str] = []

    async def hand_on(request: httpx2.Request) -> None:
        trace, headers = caller()
        request.headers.update(headers)
        traces.append(trace)

    async with (
        httpx2.AsyncClient(headers=stack.headers, timeout=TEST_TIMEOUT, event_hooks={"request": [hand_on]}) as http,
        Client(streamable_http_client(f"{stack.url}/mcp", http_client=http), mode=mode) as client,
    ):
        before = len(traces)
        await client.call_tool("chat", {"prompt": SECRET})
        made = traces[before:]
    await wait_until(lambda: [span for span in collector.spans if span.name == "chat sonnet" and span.trace in made])


@pytest.mark.parametrize(
    ("path", "body", "name", "failure"),
    [
        ("/api/tools/bash", {"command": "echo hi"}, "execute_tool run_command", ""),
        ("/api/tools/bash", {"command": "id"}, "execute_tool run_command", "not_allowed"),
        ("/api/tools/file-read", {"path": "/etc/passwd"}, "execute_tool read_file", "not_allowed"),
    ],
)
async def test_a_job_on_files_or_commands_is_a_span(
    traced_tools_stack: tuple[Stack, Upstream, Collector], path: str, body: Any, name: str, failure: str
):
    """Below its request, with how it ended and none of its words; the logs of the tools executor have the trace."""
    stack, _, collector = traced_tools_stack
    trace, headers = caller()
    await stack.client.post(path, json=body, headers=headers)
    request, job = await collector.named(f"POST {path}", trace), await collector.named(name, trace)
    assert job.parent == request.id
    assert job.attributes["gen_ai.operation.name"] == "execute_tool"
    assert job.failed == bool(failure)
    assert job.attributes.get("error.type", "") == failure
    assert job.attributes.get("process.exit.code") == (None if failure else "0")
    assert not any(word in str(job.attributes) for word in ("echo", "passwd"))
    if failure:
        await logged(stack, trace, "tools-1")


async def test_what_a_model_has_done_is_in_its_trace(traced_tools_stack: tuple[Stack, Upstream, Collector]):
    """The calls of /api/code."""
    stack, upstream, collector = traced_tools_stack

    def call(received: ReceivedRequest) -> AnswerReply:
        [name] = [tool["name"] for tool in received.body["tools"] if tool["name"].endswith("Bash")]
        return AnswerReply(tools=[("toolu_1", name, ['{"command": "echo hi"}'])])

    upstream.script(call, AnswerReply((ANSWER,)))
    trace, headers = caller()
    await stack.client.post("/api/code", json={"prompt": SECRET}, headers=headers)
    request, job = [await collector.named(name, trace) for name in ("POST /api/code", "execute_tool run_command")]
    assert job.parent == request.id
