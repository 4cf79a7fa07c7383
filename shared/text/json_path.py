"""Places in a JSON value, written as JSONPath (RFC 9535). Pure."""

import re
from collections.abc import Iterable

import msgspec

MAX_NAME_LENGTH = 60
# Names without quotes. JSON Schema's own names have `$` and `-`.
_PLAIN = re.compile(r"[A-Za-z_$@][A-Za-z0-9_$@-]*")

type Step = str | int


def render_path(root: str, steps: Iterable[Step]) -> str:
    """Returns the steps as a path in ASCII: `$.a[0]["b c"]`. root: the start of the path."""
    return root + "".join(map(_render_step, steps))


def _render_step(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    short = step if len(step) <= MAX_NAME_LENGTH else f"{step[:MAX_NAME_LENGTH]}..."
    if _PLAIN.fullmatch(short):
        return f".{short}"
    quoted = msgspec.json.encode(short.encode("utf-8", "replace").decode()).decode()
    return f"[{quoted.encode('ascii', 'backslashreplace').decode()}]"
