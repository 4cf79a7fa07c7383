"""Traces of both programs, by OpenTelemetry: off unless a collector's address is in the environment.

Law: nothing is loaded, started or sent before OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ form) is set. A trace that a
caller began goes on to whoever comes next, with its `tracestate`, whether this program takes part in it or not
(https://www.w3.org/TR/trace-context/).
"""

import re
import threading
import time
from collections.abc import Mapping
from typing import Any, Literal

import structlog

ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
CAPTURE_CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SUPPORTED_PROTOCOL = "http/protobuf"
# As much of a `tracestate` as everybody has to hand on; what is longer is left out, whole.
MAX_TRACESTATE_LENGTH = 512
# What is not sent by then is lost: an end must not wait for a collector that is gone.
FLUSH_TIMEOUT = 2.0

type SpanKindName = Literal["server", "client", "internal"]
type AttributeValue = str | int | float | bool | tuple[str, ...]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII)


def parse_trace_id(traceparent: str) -> str:
    """The trace that a `traceparent` names; empty when it names none, or is not one."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if not found or found[1] == "ff" or not found[2].strip("0") or not found[3].strip("0"):
        return ""
    return found[2]


class Span:
    """A piece of work that nobody records. traceparent, tracestate: what to hand on, so that the next piece comes below it."""

    def __init__(self, traceparent: str, tracestate: str = "") -> None:
        self.traceparent = traceparent if parse_trace_id(traceparent) else ""
        good = (
            self.traceparent
            and len(tracestate) <= MAX_TRACESTATE_LENGTH
            and tracestate.isascii()
            and tracestate.isprintable()
        )
        self.tracestate = tracestate if good else ""

    def set_attribute(self, name: str, value: AttributeValue) -> None:
        """Say something about it."""

    def rename(self, name: str) -> None:
        """Call it by another name, once that is known."""

    def fail(self, kind: str) -> None:
        """Say that it failed."""

    def end(self) -> None:
        """It is over; a second call changes nothing."""


class RecordingSpan(Span):
    """A piece of work that is recorded. Mutable: the library's span."""

    def __init__(self, span: Any) -> None:
        self._span = span
        context = span.get_span_context()
        parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        super().__init__(parent, context.trace_state.to_header())

    def set_attribute(self, name: str, value: AttributeValue) -> None:
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 # loaded already, where there is a span

        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        if self._span.is_recording():
            self._span.end()


class Tracing:
    """Makes spans that nobody records. content: whether the words of a conversation may be in them."""

    captures_content = False

    def start_span(self, name: str, parent: str = "", kind: SpanKindName = "internal", state: str = "") -> Span:  # noqa: ARG002 # the one that records needs them
        """Begin a piece of work below `parent`, a traceparent; state: the tracestate that came with it."""
        return Span(parent, state)

    def close(self) -> None:
        """Send what is left."""


class OtlpTracing(Tracing):
    """Makes spans that are sent to the collector, in batches, by a thread of the library's."""

    def __init__(self, program: str, environ: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        asked = next((environ[name] for name in PROTOCOL_VARIABLES if environ.get(name)), SUPPORTED_PROTOCOL)
        if asked != SUPPORTED_PROTOCOL:
            structlog.get_logger().warning(
                "traces are sent by another protocol than was asked", asked=asked, sent=SUPPORTED_PROTOCOL
            )
        self.captures_content = environ.get(CAPTURE_CONTENT_VARIABLE, "").lower() == "true"
        named = {} if environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: f"claude-api-server/{program}"}
        self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("claude-api-server")

    def start_span(self, name: str, parent: str = "", kind: SpanKindName = "internal", state: str = "") -> Span:
        from opentelemetry.trace import SpanKind  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        # An empty context, not the current one: a generator may be resumed in another.
        came = Span(parent, state)
        carried = {"traceparent": came.traceparent, "tracestate": came.tracestate}
        context = TraceContextTextMapPropagator().extract(carried, _build_empty_context())
        return RecordingSpan(self._tracer.start_span(name, context, SpanKind[kind.upper()]))

    def close(self) -> None:
        began = time.monotonic()
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(FLUSH_TIMEOUT)
        if last.is_alive():
            structlog.get_logger().warning("the last spans were not sent", waited=time.monotonic() - began)


def _build_empty_context() -> Any:
    from opentelemetry.context import Context  # noqa: PLC0415

    return Context()


def build_tracing(program: str, environ: Mapping[str, str]) -> Tracing:
    """What the environment asks for; the library reads further OTEL_ variables by itself."""
    wanted = any(environ.get(name) for name in ENDPOINT_VARIABLES)
    disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return OtlpTracing(program, environ) if wanted and not disabled else Tracing()
