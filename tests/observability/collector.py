"""A collector of traces on loopback, which keeps what it is sent (https://opentelemetry.io/docs/specs/otlp/)."""

import asyncio
import gzip
import http.server
import threading
from typing import Any, Self

from msgspec import Struct
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.stack import wait_until


class Seen(Struct, frozen=True):
    """A span, and the program that sent it."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]
    failed: bool
    state: str = ""


class Collector:
    """The receiver, in a thread. Mutable: what it was sent."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        spans = self.spans

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                spans.extend(read(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the library's name
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    async def named(self, name: str, trace: str) -> Seen:
        """The span of this name in this trace, once it has come."""

        def found() -> list[Seen]:
            return [span for span in list(self.spans) if span.name == name and span.trace == trace]

        await wait_until(found)
        await asyncio.sleep(0)
        [span] = found()
        return span


def read(body: bytes) -> list[Seen]:
    """The spans of one export."""
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Seen(
            service=next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name"),
            name=span.name,
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            attributes={a.key: text(a.value) for a in span.attributes},
            failed=span.status.code == 2,
            state=span.trace_state,
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def text(value: Any) -> str:
    """A value as text, whatever its kind."""
    kind = value.WhichOneof("value")
    return (
        ",".join(text(item) for item in value.array_value.values)
        if kind == "array_value"
        else str(getattr(value, kind))
    )
