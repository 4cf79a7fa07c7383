"""The names under which middleware leaves facts about a request in its ASGI scope's `state`."""

REQUEST_ID_KEY = "request_id"
PRINCIPAL = "principal"
REQUEST_ADMISSION = "admission"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
