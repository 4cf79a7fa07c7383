"""The handler of /api/held."""

from typing import Annotated

from litestar import Request, Response, delete
from litestar.datastructures import State
from litestar.di import NamedDependency
from msgspec import Struct

from api.auth.middleware import get_principal
from api.core.caller import get_caller
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.schema import doc
from api.core.scopes import ANY_SCOPE, REQUIRED_SCOPE
from api.executors.held_conversations import HeldConversations


class EndedConversations(Struct, frozen=True):
    """The end of held conversations."""

    ended: Annotated[int, doc("How many held CLI processes were ended.")]


@delete("/api/held", opt={ENDPOINT: Endpoint(EndedConversations), REQUIRED_SCOPE: ANY_SCOPE}, status_code=200)
async def end_held_conversations(
    request: Request[object, object, State], held_conversations: NamedDependency[HeldConversations]
) -> Response[EndedConversations]:
    """End held conversations.

    Ends the CLI processes that hold a conversation of this key; with the scope `admin`, those of every key. Their memory
    is free at once. The next request of such a conversation is only slower.
    """
    key = get_principal(request).key
    is_admin = key is None or "admin" in key.scopes
    return Response(EndedConversations(await held_conversations.end(None if is_admin else get_caller(request))))
