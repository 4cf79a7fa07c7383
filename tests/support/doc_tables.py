"""The reference tables of the documents, rendered from the code."""

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from litestar import Litestar
from litestar.routes import HTTPRoute
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import api.settings
import executor.settings
from api.app import create_app
from api.conversation.parameters import Parameter, Treatment
from api.core.problems import STATUS_AND_CODE
from api.dialects.anthropic.parameters import MESSAGES_PARAMETERS
from api.dialects.openai_parameters import CHAT_PARAMETERS, COMPLETIONS_PARAMETERS, RESPONSES_PARAMETERS
from api.http.drain import Drain
from api.observability.metrics import FAMILIES
from cli.doctor import CHECKS
from shared.errors import ERROR_INFO

REPOSITORY = Path(__file__).parent.parent.parent
# The MCP endpoint handles every method itself; these are the protocol's.
MCP_METHODS = {"POST", "GET", "DELETE"}
# The page that documents an address: the first matching prefix wins.
PAGE_BY_PREFIX = {
    "/v1/chat/completions": "chat-completions",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
    "/v1/models": "configuration",
    "/v1": "http",
    "/api/admin": "keys",
    "/api/usage": "keys",
    "/api/held": "held-conversations",
    "/api": "rest",
    "/mcp": "mcp",
    "/health": "monitoring",
    "/metrics": "monitoring",
    "/docs": "http",
    "/openapi.json": "http",
    "/": "http",
}


def list_routes() -> list[tuple[str, str]]:
    """Lists method and address of each of the application's routes, by address."""
    settings = api.settings.Settings(api_secret_token=SecretStr("8b1f3c0d9e7a6542"))
    app = create_app(settings, Drain(0))
    while not isinstance(app, Litestar):
        app = app._app  # pyright: ignore[reportAttributeAccessIssue, reportFunctionMemberAccess] # middleware around it
    found = {
        (re.sub(r"{(\w+)[^}]*}", r"{\1}", route.path), method)
        for route in app.routes
        for method in (route.methods if isinstance(route, HTTPRoute) else MCP_METHODS)
        if method not in {"OPTIONS", "HEAD"} and not route.path.startswith("/docs/")  # the page's own files
    }
    return [(method, path) for path, method in sorted(found)]


def find_doctor_levels() -> dict[str, set[str]]:
    """Finds the levels that each check of the doctor can report, from the calls that build findings."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((REPOSITORY / "cli/doctor").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match call:
                case ast.Call(ast.Name("warning" | "error" as level), [ast.Constant(str(check)), *_]):
                    found[check].add(level)
                case ast.Call(ast.Name("to_finding"), [ast.Constant(str(check)), _, ast.Constant(str(level))]):
                    found[check].add(level)
                case ast.Call(ast.Name("to_finding"), [ast.Constant(str(check)), *_]):
                    found[check].add("error")
                case ast.Call(ast.IfExp(), [ast.Constant(str(check)), *_]):
                    found[check] |= {"warning", "error"}
                case _:
                    pass
    return found


def format_default(value: object) -> str:
    """Formats a setting's default for the tables."""
    return "none" if value in (PydanticUndefined, None, {}, ()) else f"`{str(value).lower()}`"


def _valid_values(field: FieldInfo) -> str:
    if field.annotation is bool:
        return "`true`, `false`"
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(field.annotation))
    bounds: list[str] = []
    for limit in field.metadata:
        match limit:
            case Ge(ge=low):
                bounds.append(f"from {low}")
            case Gt(gt=low):
                bounds.append(f"over {low}")
            case Le(le=high) | Lt(lt=high):
                bounds.append(f"to {high}")
            case _:
                pass
    return " ".join(bounds)


def _table(*rows: tuple[str, ...]) -> str:
    heading, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, ("---",) * len(heading), *others))


def _settings(names: Callable[[], Iterator[tuple[str, FieldInfo]]]) -> str:
    rows = (
        (
            f"`{name.upper()}`",
            format_default(field.default),
            _valid_values(field),
            describe(field),
        )
        for name, field in names()
    )
    return _table(("setting", "default", "valid values", "description"), *rows)


def describe(field: FieldInfo) -> str:
    """Returns a setting's description in one line."""
    return " ".join((field.description or "").split())


def _settings_of(*programs: Any, without: tuple[Any, ...] = ()) -> Iterator[tuple[str, FieldInfo]]:
    first, *others = programs
    for name, field in first.model_fields.items():
        if all(name in other.model_fields for other in others) and not any(
            name in each.model_fields for each in without
        ):
            yield name, field


def _parameters(parameters: Mapping[str, Parameter]) -> str:
    rows = (
        (f"`{name}`", what.treatment, "; ".join(filter(None, (what.note, _range(what)))))
        for name, what in sorted(
            parameters.items(), key=lambda item: get_args(Treatment.__value__).index(item[1].treatment)
        )
    )
    return _table(("parameter", "treatment", "note"), *rows)


def _range(parameter: Parameter) -> str:
    return "from {:.9g} to {:.9g}".format(*parameter.range) if parameter.range else ""


def _error_kinds() -> str:
    rows = (
        (
            f"`{kind.value}`",
            str(status),
            f"`{code}`",
            "yes" if ERROR_INFO[kind].retryable else "no",
            ERROR_INFO[kind].message,
        )
        for kind, (status, code) in STATUS_AND_CODE.items()
    )
    return _table(("kind", "status", "code", "retry", "message"), *rows)


def _metrics() -> str:
    rows = (
        (f"`{f.exposed_name}`", f.kind, ", ".join(f"`{label}`" for label in f.labels) or "none", f.help)
        for f in FAMILIES.values()
    )
    return _table(("metric", "kind", "labels", "description"), *rows)


def _routes() -> str:
    return _table(("method", "address", "page"), *((m, f"`{path}`", _page_link(path)) for m, path in list_routes()))


def _page_link(path: str) -> str:
    page = next(page for prefix, page in PAGE_BY_PREFIX.items() if path.startswith(prefix))
    return f"[{page}]({page}.md)"


def _doctor_checks() -> str:
    levels = find_doctor_levels()
    rows = ((f"`{check}`", what, ", ".join(sorted(levels[check], reverse=True))) for check, what in CHECKS.items())
    return _table(("check", "what it examines", "levels"), *rows)


def _make_targets() -> str:
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z]+):.*?## (.*)$", text, re.MULTILINE)
    return _table(("command", "description"), *((f"`make {target}`", what) for target, what in found))


_API, _EXECUTOR = api.settings.Settings, executor.settings.Settings
GENERATORS: dict[str, Callable[[], str]] = {
    "settings-api": partial(_settings, partial(_settings_of, _API, without=(_EXECUTOR,))),
    "settings-executor": partial(_settings, partial(_settings_of, _EXECUTOR, without=(_API,))),
    "settings-both": partial(_settings, partial(_settings_of, _API, _EXECUTOR)),
    "parameters-chat": partial(_parameters, CHAT_PARAMETERS),
    "parameters-completions": partial(_parameters, COMPLETIONS_PARAMETERS),
    "parameters-responses": partial(_parameters, RESPONSES_PARAMETERS),
    "parameters-messages": partial(_parameters, MESSAGES_PARAMETERS),
    "error-kinds": _error_kinds,
    "metrics": _metrics,
    "routes": _routes,
    "doctor-checks": _doctor_checks,
    "make-targets": _make_targets,
}
