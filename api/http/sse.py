"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Pure.

Invariants: an event's data is one line for every reader, also for readers with more line ends than the standard.
"""

# Line ends for the readers of some clients, but not for the standard; they occur only inside JSON strings.
ESCAPED_LINE_ENDS = {end.encode(): f"\\u{ord(end):04x}".encode() for end in "\u0085\u2028\u2029"}


def render_data(payload: bytes) -> bytes:
    """Returns an event with this JSON as data."""
    for end, escaped in ESCAPED_LINE_ENDS.items():
        payload = payload.replace(end, escaped)
    return b"data: " + payload + b"\n\n"


def render_named_event(name: str, payload: bytes) -> bytes:
    """Returns an event with a name."""
    return b"event: " + name.encode() + b"\n" + render_data(payload)
