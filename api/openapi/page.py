"""The document as a page for browsers. Pure.

Law: everything it needs is in it, it can be read without scripts, and its policy lets it reach this server only.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import cast

from api.openapi.endpoint import ORIGIN, section
from api.openapi.markup import block, element, escaped, prose, sentence
from api.openapi.structs import Json, reference
from api.openapi.tree import Tree

FOLDER = Path(__file__).parent
SANE_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32'"
    " rx='8' fill='%23c2603d'/%3E%3Cpath d='M10 11l6 5-6 5M18 22h6' fill='none' stroke='%23fff' stroke-width='3'"
    " stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E"
)
PYTHON = """\
from openai import OpenAI

client = OpenAI(
    base_url="@@ORIGIN@@/v1",
    api_key="KEY",
)
stream = client.chat.completions.create(
    model="sonnet",
    messages=[{"role": "user", "content": "Hello!"}],
    stream=True,
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="")
"""
ENVIRONMENT = """\
export OPENAI_BASE_URL=@@ORIGIN@@/v1
export OPENAI_API_KEY=KEY
"""


class Page:
    """The page, but for the address of the server. policy: its Content-Security-Policy."""

    def __init__(self, document: Json) -> None:
        style, script = (FOLDER.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
        self._html = _page(document, style, script)
        self.policy = (
            f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'"
        )

    def seen_at(self, scheme: str, host: str) -> str:
        """The HTML for a browser that found it at this host, which it named itself."""
        known = host if SANE_HOST.fullmatch(host) else "localhost"
        return self._html.replace(ORIGIN, f"{scheme}://{known}")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _page(document: Json, style: str, script: str) -> str:
    title = escaped(document["info"]["title"])
    inside = start(document) + endpoints(document) + errors(document) + headers(document)
    skip = element("a", "Skip to the content", href="#start", class_="skip")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{title}</title><link rel="icon" href="{ICON}"><style>{style}</style></head>'
        f"<body>{skip}{navigation(document)}{element('main', inside)}<script>{script}</script></body></html>"
    )


def operations(document: Json, tag: str) -> list[tuple[str, str, Json]]:
    """The operations with a tag: method, path, operation."""
    return [
        (method, path, operation)
        for path, methods in cast("dict[str, dict[str, Json]]", document["paths"]).items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    ]


def navigation(document: Json) -> str:
    """The way to every section."""
    mark = element("span", "", class_="mark", aria_hidden="true")
    info = document["info"]
    brand = element("a", f"{mark}{escaped(info['title'])}", href="#start", class_="brand")
    brand += element("span", f"version {escaped(info['version'])}", class_="version")
    groups = [("Start", _links(("start", "Overview"), ("errors", "Errors"), ("headers", "Headers")))]
    for tag in cast("list[Json]", document["tags"]):
        found = operations(document, tag["name"])
        links = [
            (each["operationId"], f"<b class='{method}'>{method}</b> {escaped(path)}") for method, path, each in found
        ]
        groups.append((tag["name"], _links(*links)))
    lists = "".join(element("h2", escaped(name)) + links for name, links in groups)
    document_link = element("a", "openapi.json", href="/openapi.json", class_="raw")
    return element("nav", brand + lists + document_link, aria_label="Sections")


def _links(*links: tuple[str, str]) -> str:
    return element("ul", "".join(element("li", element("a", words, href=f"#{place}")) for place, words in links))


def start(document: Json) -> str:
    """What this is and how to begin."""
    address = element("span", ORIGIN, class_="origin") + "/v1"
    key = "Send it as `Authorization: Bearer KEY`, or as `x-api-key: KEY` or `api-key: KEY`. The server's owner has it."
    cards = [
        ("Address", block(address, "the address")),
        ("Key", prose(key)),
        ("Any OpenAI client", block(_with_origin(ENVIRONMENT), "the settings")),
        ("Python", block(_with_origin(PYTHON), "the program")),
    ]
    shown = "".join(element("div", element("h3", name) + inner, class_="card") for name, inner in cards)
    info = document["info"]
    about = element("h1", escaped(info["title"])) + element("div", prose(info["description"]), class_="lead")
    return element("section", about + element("div", shown, class_="cards"), id="start", class_="start")


def _with_origin(code: str) -> str:
    return escaped(code).replace(ORIGIN, element("span", ORIGIN, class_="origin"))


def endpoints(document: Json) -> str:
    """Every operation, by its tag."""
    return "".join(
        element("h2", escaped(tag["name"]), class_="tag")
        + element("p", sentence(tag["description"]), class_="about")
        + "".join(section(*operation, document) for operation in operations(document, tag["name"]))
        for tag in cast("list[Json]", document["tags"])
    )


def errors(document: Json) -> str:
    """Every way a request can fail."""
    tree = Tree(document["components"]["schemas"], nullable=True).whole(reference("ErrorEnvelope"))
    rows: list[str] = []
    for name, response in cast("dict[str, Json]", document["components"]["responses"]).items():
        status = name.removeprefix("Error")
        head = element("h3", element("span", status, class_=f"status s{status[0]}") + sentence(response["description"]))
        codes = "".join(
            element("dt", element("code", escaped(code)))
            + element("dd", sentence(example["value"]["error"]["message"]) + _again(example))
            for code, example in response["content"]["application/json"]["examples"].items()
        )
        rows.append(element("div", head + element("dl", codes), id=f"error-{status}", class_="error"))
    intro = prose("The body of every error has this shape. Each status has its codes, for example:")
    return element("section", element("h2", "Errors", class_="tag") + intro + tree + "".join(rows), id="errors")


def _again(example: Json) -> str:
    return element("span", "may succeed later", class_="later") if example["summary"] else ""


def headers(document: Json) -> str:
    """Every header of a response."""
    rows = "".join(
        element("dt", element("code", escaped(name)), id=name) + element("dd", sentence(header["description"]))
        for name, header in cast("dict[str, Json]", document["components"]["headers"]).items()
    )
    inner = element("h2", "Headers", class_="tag") + prose("What responses say beside their body.")
    return element("section", inner + element("dl", rows), id="headers")
