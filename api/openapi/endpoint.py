"""One operation of the document, as a section of the page. Pure."""

from typing import cast

from api.openapi.markup import block, coloured, details, element, escaped, prose, sentence, written
from api.openapi.structs import Json
from api.openapi.tree import Tree

# Stands in code for the address of this server, which each request knows.
ORIGIN = "@@ORIGIN@@"
JSON = "application/json"
STREAM = "text/event-stream"


def resolved(response: Json, document: Json) -> Json:
    """A response, found if it is only referred to."""
    name = str(response.get("$ref", "")).rpartition("/")[2]
    return document["components"]["responses"][name] if name else response


def needs_key(operation: Json) -> bool:
    """Whether it does nothing for a caller without one."""
    return "security" not in operation


def takes_key(operation: Json) -> bool:
    """Whether a key makes a difference."""
    return operation.get("security") != []


def section(method: str, path: str, operation: Json, document: Json) -> str:
    """The whole section."""
    name = operation["operationId"]
    badge = element("span", method.upper(), class_=f"method {method}")
    route = element("p", badge + element("code", escaped(path)), class_="route")
    lock = element("span", "needs the key" if needs_key(operation) else "no key needed", class_="lock")
    head = element("h3", element("a", escaped(operation["summary"]), href=f"#{name}")) + route + lock
    left = prose(operation["description"]) + parameters(operation) + body(operation, document)
    left += responses(operation, document)
    right = examples(method, path, operation) + answers(operation) + attempt(method, path, operation)
    columns = element("div", left, class_="words") + element("div", right, class_="code")
    return element("section", head + element("div", columns, class_="columns"), id=name, class_="operation")


def parameters(operation: Json) -> str:
    """What is not in the body."""
    rows: list[str] = []
    for parameter in cast("list[Json]", operation.get("parameters", [])):
        head = element("code", parameter["name"], class_="name") + element("span", parameter["in"], class_="type")
        head += element("span", "required", class_="must") if parameter.get("required") else ""
        rows.append(element("li", element("div", head, class_="head") + prose(parameter["description"])))
    return element("h4", "Parameters") + element("ul", "".join(rows), class_="fields") if rows else ""


def body(operation: Json, document: Json) -> str:
    """What is in the body."""
    if "requestBody" not in operation:
        return ""
    schema = operation["requestBody"]["content"][JSON]["schema"]
    named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    tree = Tree(document["components"]["schemas"], nullable=False)
    return element("h4", "Request") + prose(named["description"]) + tree.whole(schema)


def responses(operation: Json, document: Json) -> str:
    """What may come back."""
    tree = Tree(document["components"]["schemas"], nullable=True)
    rows: list[str] = []
    for status, response in cast("dict[str, Json]", operation["responses"]).items():
        found = resolved(response, document)
        code = element("span", status, class_=f"status s{status[0]}")
        if "$ref" in response:
            link = element("a", code + sentence(found["description"]), href=f"#error-{status}")
            rows.append(element("p", link, class_="failure"))
            continue
        headers = " ".join(element("a", element("code", name), href=f"#{name}") for name in found["headers"])
        inner = element("p", f"Headers: {headers}", class_="headers")
        for media_type, content in cast("dict[str, Json]", found.get("content", {})).items():
            shape = content["schema"]
            inner += element("h5", element("code", media_type)) + prose(shape.get("description", ""))
            inner += tree.whole(event_of(shape) if media_type == STREAM else shape)
        rows.append(details(code + sentence(found["description"]), inner, class_="response", open=status == "200"))
    return element("h4", "Responses") + "".join(rows)


def event_of(shape: Json) -> Json:
    """What the data of an event of a stream is, but for errors and the end."""
    told: Json = shape.get("properties", {}).get("data", shape)
    while "anyOf" in told or "contentSchema" in told:
        told = told["anyOf"][0] if "anyOf" in told else told["contentSchema"]
    return told


def curl(method: str, path: str, operation: Json, sent: Json | None) -> str:
    """The same as a command. HTML."""
    place = path
    for parameter in cast("list[Json]", operation.get("parameters", [])):
        if parameter["in"] == "path":
            place = place.replace(f"{{{parameter['name']}}}", parameter["example"])
    # curl knows by itself that a body is posted.
    manner = "" if method == "get" or sent else f"-X {method.upper()} "
    lines = [f"curl {'-N ' if sent and sent.get('stream') else ''}{manner}{ORIGIN}{place}"]
    if needs_key(operation):
        lines.append('-H "Authorization: Bearer $KEY"')
    if sent:
        lines.append('-H "Content-Type: application/json"')
    head = escaped(" \\\n  ".join(lines)).replace(ORIGIN, element("span", ORIGIN, class_="origin"))
    if sent is None:
        return head
    return f"{head} \\\n  -d '{coloured(written(sent)).replace('&#x27;', "'\\&#x27;'")}'"


def examples(method: str, path: str, operation: Json) -> str:
    """Commands to copy."""
    named: dict[str, Json] = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("examples", {})
    if not named:
        return block(curl(method, path, operation, None), "the command")
    group = f"examples-{operation['operationId']}"
    shown = "".join(
        details(
            escaped(example["summary"]),
            prose(example["description"]) + block(curl(method, path, operation, example["value"]), example["summary"]),
            name=group,
            open=number == 0,
            class_="example",
        )
        for number, example in enumerate(named.values())
    )
    return element("h4", "Examples") + element("div", shown, class_="examples")


def answers(operation: Json) -> str:
    """What comes back, for example."""
    content: Json = operation["responses"].get("200", {}).get("content", {})
    shown = [
        details(escaped(example["summary"]), block(_value(example["value"]), example["summary"]), class_="example")
        for media_type in (JSON, STREAM)
        for example in content.get(media_type, {}).get("examples", {}).values()
    ]
    return element("h4", "Answers") + element("div", "".join(shown), class_="examples") if shown else ""


def _value(value: object) -> str:
    return coloured(value if isinstance(value, str) else written(value))


def attempt(method: str, path: str, operation: Json) -> str:
    """A form that sends a request of one's own, for browsers with scripts."""
    name = operation["operationId"]
    fields = ""
    if takes_key(operation):
        what = "Key" if needs_key(operation) else "Key (if you like)"
        fields += _field(what, f'<input type="password" data-key autocomplete="off" placeholder="{KEY_HINT}">')
    for parameter in cast("list[Json]", operation.get("parameters", [])):
        if parameter["in"] == "path":
            given = escaped(parameter["example"])
            fields += _field(parameter["name"], f'<input data-path="{parameter["name"]}" value="{given}" required>')
    if "requestBody" in operation:
        fields += _request(operation["requestBody"]["content"][JSON]["examples"])
    buttons = element("button", "Send", class_="send") + element(
        "button", "Stop", type="button", class_="stop", hidden=True
    )
    hint = element("span", "Ctrl + Enter", class_="hint") if "requestBody" in operation else ""
    form = element(
        "form",
        fields + element("div", buttons + hint + element("output", "", class_="state"), class_="buttons") + RESULT,
        data_method=method.upper(),
        data_url=path,
        class_="js",
    )
    noscript = element("noscript", prose("This needs JavaScript; the commands above do not."))
    return element("div", element("h4", "Try it") + form + noscript, class_="try", id=f"try-{name}")


KEY_HINT = "kept in this tab only, until it is closed"
RESULT = (
    '<div class="result" hidden><div class="said" aria-live="polite"></div>'
    '<details class="got"><summary>What came, as it came</summary><pre tabindex="0"></pre></details>'
    '<details class="heads"><summary>Headers</summary><pre tabindex="0"></pre></details></div>'
)


def _field(label: str, control: str) -> str:
    return element("label", element("span", escaped(label)) + control)


def _request(named: dict[str, Json]) -> str:
    options = "".join(
        element("option", escaped(example["summary"]), value=name, data_body=written(example["value"]))
        for name, example in named.items()
    )
    first = escaped(written(next(iter(named.values()))["value"]))
    text = f'<textarea data-body rows="12" spellcheck="false" autocomplete="off">{first}</textarea>'
    return _field("Begin with", element("select", options, data_examples=True)) + _field("Body", text)
