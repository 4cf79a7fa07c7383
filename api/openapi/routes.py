"""The handlers of the document and its page. No key needed: nothing in them is of this server's owner or its clients."""

import msgspec
from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from api.agent.checks import AgentLimits
from api.auth.middleware import PUBLIC
from api.conversation.parameters import Policy
from api.openapi.document import document
from api.openapi.page import Page

JSON_HEADERS = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
HTML_HEADERS = {**JSON_HEADERS, "referrer-policy": "no-referrer", "cross-origin-opener-policy": "same-origin"}


class Documentation:
    """The document and its page, made once."""

    def __init__(self, policy: Policy, limits: AgentLimits) -> None:
        whole = document(policy, limits)
        self.json = msgspec.json.format(msgspec.json.encode(whole), indent=1)
        self.page = Page(whole)


@get("/openapi.json", opt={PUBLIC: True})
async def get_openapi(documentation: NamedDependency[Documentation]) -> Response[bytes]:
    """Give the document."""
    return Response(documentation.json, media_type="application/json", headers=JSON_HEADERS)


@get("/docs", opt={PUBLIC: True})
async def get_docs(
    request: Request[object, object, State], documentation: NamedDependency[Documentation]
) -> Response[str]:
    """Give the page."""
    page = documentation.page
    html = page.seen_at(request.scope["scheme"], request.headers.get("host", ""))
    headers = {**HTML_HEADERS, "content-security-policy": page.policy}
    return Response(html, media_type="text/html", headers=headers)


router = Router("/", route_handlers=[get_openapi, get_docs])
