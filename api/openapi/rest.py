"""The operations of REST, for the OpenAPI document. Pure."""

from collections.abc import Mapping

from api.openapi.operations import REQUEST_ID, answer, json, operation
from api.openapi.replies import ANSWERED, TITLES, headed
from api.openapi.structs import Json, reference

OF_MODEL = (400, 401, 402, 403, 404, 413, 415, 429, 500, 502, 503, 504)
OF_JOB = (400, 401, 403, 404, 413, 415, 429, 500, 502, 503, 504)
NOT_FOUND = "There is no such model, file or folder"
NOT_ALLOWED = "The server does not allow it, or the key may not do it; `detail` says what may be done"
OF_REST = {**TITLES, 403: NOT_ALLOWED, 404: NOT_FOUND, 400: "The request says something it may not"}
EVENTS = """\
Named events. `start` {model}; `text` {text} and `thinking` {text}: the next words; `tool_start` {id, name, input}, \
`tool_output` {id, stream, text} and `tool_end` {id, name, is_error, content}: a tool at work; `output` {stream, text}: what \
a command wrote. The last is `result`, whose data is the plain answer, or `error`, whose data is the body of an error. Lines \
that begin with a colon only keep the connection alive."""


def paths() -> Json:
    """Every path of REST and its operations."""
    return {
        "/api/chat": {"post": _post("Answer a prompt", "postChat", "Chat", "The model has no tools here.")},
        "/api/code": {
            "post": _post(
                "Work on files",
                "postCode",
                "Code",
                "The model explores the allowed files and runs the allowed commands, over as many turns as it takes, to a "
                "limit. What is refused it is told, and it goes on.",
            )
        },
        "/api/analyze": {
            "post": _post(
                "Ask about files", "postAnalyze", "Analyze", "The files reach the model as documents with their names."
            )
        },
        "/api/tools/file-read": {"post": _job("Read a file", "postFileRead", "FileRead", "FileAnswer", stream=False)},
        "/api/tools/bash": {"post": _job("Run commands", "postBash", "Bash", "BashAnswer", stream=True)},
        "/api/models": {
            "get": operation(
                "REST",
                "getModels",
                "List the names of models",
                "Every name that a request may use, and the model that it means.",
                parameters=[REQUEST_ID],
                responses={"200": answer("The names.", json(reference("ModelEntries"))), **refusals((401, 500, 503))},
            )
        },
    }


def _post(summary: str, name: str, stem: str, words: str) -> Json:
    answered = "CodeAnswer" if stem == "Code" else "ChatAnswer"
    content = {**json(reference(answered)), **_stream(answered)}
    return operation(
        "REST",
        name,
        summary,
        f"{words} Hanging up ends it at once.",
        parameters=[REQUEST_ID],
        requestBody={"required": True, "content": json(reference(f"{stem}Request"), _example(stem))},
        responses={"200": answer("The answer, or a stream of it.", content, ANSWERED), **refusals(OF_MODEL)},
    )


def _job(summary: str, name: str, stem: str, answered: str, *, stream: bool) -> Json:
    content = {**json(reference(answered)), **(_stream(answered) if stream else {})}
    return operation(
        "REST",
        name,
        summary,
        "Done by a tools executor, in a sandbox of its own. Hanging up ends it at once.",
        parameters=[REQUEST_ID],
        requestBody={"required": True, "content": json(reference(f"{stem}Request"), _example(stem))},
        responses={"200": answer("What came of it.", content, ANSWERED), **refusals(OF_JOB)},
    )


def _stream(answered: str) -> Json:
    data: Json = {
        "type": "string",
        "description": "What happened, as JSON.",
        "anyOf": [
            {
                "contentMediaType": "application/json",
                "contentSchema": {"anyOf": [reference(answered), reference("RestError"), {"type": "object"}]},
            }
        ],
    }
    names = ["start", "text", "thinking", "tool_start", "tool_output", "tool_end", "output", "result", "error"]
    name: Json = {"enum": names, "description": "What kind of thing happened."}
    properties = {"event": name, "data": data}
    schema = {"type": "object", "description": EVENTS, "properties": properties, "required": ["event", "data"]}
    return {"text/event-stream": {"schema": schema}}


def _example(stem: str) -> Json:
    values: dict[str, Json] = {
        "Chat": {"prompt": "What is a monad, in a sentence?"},
        "Code": {"prompt": "What is in this folder, and which file is the largest?", "stream": True},
        "Analyze": {"prompt": "What is in this file?", "context_files": ["welcome.txt"]},
        "FileRead": {"path": "welcome.txt"},
        "Bash": {"command": "ls -l"},
    }
    return {"usual": {"summary": "The usual", "description": "Hanging up ends it.", "value": values[stem]}}


def refusals(statuses: tuple[int, ...], titles: Mapping[int, str] = OF_REST) -> dict[str, Json]:
    """The responses of a request that is refused or fails, with the bodies of REST."""
    return {
        str(status): {
            "description": titles[status],
            "headers": headed(("x-should-retry",)),
            "content": json(reference("RestError")),
        }
        for status in statuses
    }
