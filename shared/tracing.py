"""Traces of both programs, with OpenTelemetry: off unless the environment has a collector's address.

Invariants: nothing is loaded, started or sent unless OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ form) is set. A caller's
trace, with its `tracestate`, is passed on to the next program, whether this program records spans or not
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
# The length of a `tracestate` that every program must pass on; a longer one is dropped.
MAX_TRACESTATE_LENGTH = 512
# Spans not sent within these seconds are lost: shutdown must not wait for an unreachable collector.
FLUSH_TIMEOUT = 2.0

type SpanKindName = Literal["server", "client", "internal"]
type AttributeValue = str | int | float | bool | tuple[str, ...]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII)


def parse_trace_id(traceparent: str) -> str:
    """Returns the trace id in a `traceparent`; empty if it is invalid."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if not found or found[1] == "ff" or not found[2].strip("0") or not found[3].strip("0"):
        return ""
    return found[2]


class Span:
    """A span that is not recorded. traceparent, tracestate: to pass on, as the parent of the next span."""

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
        """Sets an attribute."""

    def rename(self, name: str) -> None:
        """Renames the span."""

    def fail(self, kind: str) -> None:
        """Marks the span as failed."""

    def end(self) -> None:
        """Ends the span; a second call has no effect."""


class RecordingSpan(Span):
    """A span that is recorded. Mutable: the library's span."""

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
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 # already loaded when there is a span

        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        if self._span.is_recording():
            self._span.end()


class Tracing:
    """Creates spans that are not recorded. captures_content: whether spans may contain the text of a conversation."""

    captures_content = False

    def start_span(self, name: str, parent: str = "", kind: SpanKindName = "internal", state: str = "") -> Span:  # noqa: ARG002 # the subclass uses them
        """Starts a span below `parent`, a traceparent. state: its tracestate."""
        return Span(parent, state)

    def close(self) -> None:
        """Sends the remaining spans."""


class OtlpTracing(Tracing):
    """Creates spans that a thread of the library sends to the collector, in batches."""

    def __init__(self, program: str, environ: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        protocol = next((environ[name] for name in PROTOCOL_VARIABLES if environ.get(name)), SUPPORTED_PROTOCOL)
        if protocol != SUPPORTED_PROTOCOL:
            structlog.get_logger().warning(
                "traces are sent with another protocol than requested", requested=protocol, used=SUPPORTED_PROTOCOL
            )
        self.captures_content = environ.get(CAPTURE_CONTENT_VARIABLE, "").lower() == "true"
        named = {} if environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: f"claude-api-server/{program}"}
        self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("claude-api-server")

    def start_span(self, name: str, parent: str = "", kind: SpanKindName = "internal", state: str = "") -> Span:
        from opentelemetry.context import Context  # noqa: PLC0415
        from opentelemetry.trace import SpanKind  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        # An empty context, not the current one: a generator may be resumed in another.
        remote = Span(parent, state)
        carrier = {"traceparent": remote.traceparent, "tracestate": remote.tracestate}
        context = TraceContextTextMapPropagator().extract(carrier, Context())
        return RecordingSpan(self._tracer.start_span(name, context, SpanKind[kind.upper()]))

    def close(self) -> None:
        started = time.monotonic()
        shutdown = threading.Thread(target=self._provider.shutdown, daemon=True)
        shutdown.start()
        shutdown.join(FLUSH_TIMEOUT)
        if shutdown.is_alive():
            structlog.get_logger().warning("the last spans were not sent", waited=time.monotonic() - started)


def build_tracing(program: str, environ: Mapping[str, str]) -> Tracing:
    """Returns the tracing that the environment configures. The library reads further OTEL_ variables."""
    enabled = any(environ.get(name) for name in ENDPOINT_VARIABLES)
    disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return OtlpTracing(program, environ) if enabled and not disabled else Tracing()
