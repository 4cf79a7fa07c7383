"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Pure.

Law: an event's data is one line to every reader, also to those that take more for a line's end than the standard does.
"""

# Line ends to the readers of some clients, though not to the standard's; they only occur inside the JSON's texts.
ESCAPED_LINE_ENDS = {end.encode(): f"\\u{ord(end):04x}".encode() for end in "\u0085\u2028\u2029"}


def render_data(payload: bytes) -> bytes:
    """An event whose data is this JSON."""
    for end, escaped in ESCAPED_LINE_ENDS.items():
        payload = payload.replace(end, escaped)
    return b"data: " + payload + b"\n\n"


def render_named_event(name: str, payload: bytes) -> bytes:
    """An event with a name."""
    return b"event: " + name.encode() + b"\n" + render_data(payload)
