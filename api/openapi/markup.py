"""HTML from words and values. Pure.

Law: whatever comes in is text, and comes out escaped.
"""

import html
import json
import re

# What JSON text is made of: a key, a text, a number or a word.
TOKENS = re.compile(
    r'(?P<k>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<s>"(?:[^"\\]|\\.)*")|(?P<n>-?\d[\d.eE+-]*)|(?P<w>\b(?:true|false|null)\b)'
)
CODE = re.compile(r"`([^`]+)`")


def escaped(text: object) -> str:
    """Text as it may stand in an element or an attribute."""
    return html.escape(str(text), quote=True)


def element(name: str, inner: str, /, **attributes: str | bool) -> str:
    """An element; `class_` is `class`, `_` in a name is `-`. inner: HTML."""
    return f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>{inner}</{name}>"


def _attribute(key: str, value: str | bool) -> str:  # noqa: FBT001
    name = key.rstrip("_").replace("_", "-")
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{escaped(value)}"'


def sentence(text: str) -> str:
    """Words with `code` in them."""
    return CODE.sub(r"<code>\1</code>", escaped(text))


def prose(text: str) -> str:
    """Paragraphs."""
    return "".join(element("p", sentence(part)) for part in text.split("\n\n") if part.strip())


def written(value: object) -> str:
    """A value as JSON text for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def coloured(text: str) -> str:
    """JSON text, or lines with JSON in them, with its parts marked."""
    out: list[str] = []
    at = 0
    for found in TOKENS.finditer(text):
        out.append(escaped(text[at : found.start()]))
        out.append(element("span", escaped(found.group()), class_=found.lastgroup or ""))
        at = found.end()
    return "".join(out) + escaped(text[at:])


def block(code: str, label: str) -> str:
    """Code to read and copy. code: HTML."""
    copy = element("button", "Copy", type="button", class_="copy js", aria_label=f"Copy {label}")
    return element("div", copy + element("pre", element("code", code), tabindex="0"), class_="block")


def details(summary: str, inner: str, /, **attributes: str | bool) -> str:
    """Something that opens. summary, inner: HTML."""
    return element("details", element("summary", summary) + inner, **attributes)
