"""The document at /openapi.json and its page at /docs. They contain no private data, so they require no key."""

from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import License, SecurityScheme, Tag
from litestar.openapi.spec.components import Components

from api.auth.middleware import PUBLIC
from api.core.endpoint import ENDPOINT, Endpoint
from api.openapi.document import Documentation

TITLE = "Claude API Server"
DESCRIPTION = """\
The Claude Code CLI of this server's owner, as an API for OpenAI and Anthropic clients: set the base URL of an OpenAI \
client to `/v1` and use a key of the server.

All requests require a key, except health checks and this page. Every error has a `code` for programs and a `message` \
that describes the fix. `x-should-retry` tells the official libraries whether to retry.\
"""
TAGS = {
    "Chat": "OpenAI's chat completions and legacy completions.",
    "REST": "Prompts, tasks on files, file access and commands, in plain JSON. Errors have the form `{detail, code}`.",
    "Messages": "Anthropic's messages.",
    "Responses": "OpenAI's responses, which the server stores for a limited time.",
    "Models": "The models that a request can use.",
    "Keys": "API keys, their permissions, limits and usage.",
    "Health": "Health checks for people, supervisors and load balancers. They require no key.",
    "About": "The API description. It requires no key.",
}
HEADERS = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
# Swagger UI sets styles in attributes, and its icons are data URLs.
PAGE_HEADERS = {
    **HEADERS,
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
FOLDER = Path(__file__).parent / "swagger_ui"
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "swagger-initializer.js": "text/javascript",
}
PAGE = (FOLDER / "index.html").read_bytes()


class SwaggerPage(SwaggerRenderPlugin):
    """Swagger UI from this server's own files; Litestar's page has an inline script, which the policy forbids."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """Returns the page; its script fetches /openapi.json."""
        return PAGE

    def receive_router(self, router: Router) -> None:
        """Registers the page's files."""
        for name in ASSETS:
            router.register(_serve_file(name))


class DocumentPlugin(JsonRenderPlugin):
    """Serves the complete document instead of Litestar's."""

    def __init__(self, documentation: Documentation) -> None:
        super().__init__()
        self._documentation = documentation

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """Returns the document as JSON."""
        return self._documentation.encode()


def _serve_file(name: str) -> HTTPRouteHandler:
    file = FOLDER / name
    headers = {} if file.exists() else {"content-encoding": "gzip"}
    content = file.read_bytes() if file.exists() else file.with_name(f"{name}.gz").read_bytes()

    @get(f"/{name}")
    async def get_file() -> Response[bytes]:
        return Response(content, media_type=ASSETS[name], headers=headers)

    return get_file


@get("/openapi.json", opt={ENDPOINT: Endpoint("application/json"), PUBLIC: True})
async def get_openapi(documentation: NamedDependency[Documentation]) -> Response[bytes]:
    """Describe this API.

    The server generates this document from its code.
    """
    return Response(documentation.encode(), media_type="application/json", headers=HEADERS)


def create_operation_id(handler: HTTPRouteHandler, _: object, path: list[Any]) -> str:
    """Returns the handler's name in camel case; with the path, if the handler has several."""
    first, *rest = handler.handler_name.split("_")
    more = path if len(handler.paths) > 1 else []
    return first + "".join(str(part).title() for part in (*rest, *more))


def build_config(version: str, documentation: Documentation) -> OpenAPIConfig:
    """Returns Litestar's configuration of the document and its page."""
    return OpenAPIConfig(
        title=TITLE,
        version=version,
        description=DESCRIPTION,
        license=License("MIT", identifier="MIT"),
        security=[{"bearer": []}, {"key": []}, {"azure": []}],
        tags=[Tag(name, description) for name, description in TAGS.items()],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme("http", scheme="bearer", description="`Authorization: Bearer KEY`"),
                "key": SecurityScheme(
                    "apiKey", name="x-api-key", security_scheme_in="header", description="`x-api-key: KEY`"
                ),
                "azure": SecurityScheme(
                    "apiKey", name="api-key", security_scheme_in="header", description="`api-key: KEY`"
                ),
            }
        ),
        use_handler_docstrings=True,
        operation_id_creator=create_operation_id,
        render_plugins=[SwaggerPage(path="/"), DocumentPlugin(documentation)],
        openapi_router=Router(
            "/docs", route_handlers=[], include_in_schema=False, opt={PUBLIC: True}, response_headers=PAGE_HEADERS
        ),
    )


router = Router("/", tags=["About"], route_handlers=[get_openapi])
