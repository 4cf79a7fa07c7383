"""The handlers of REST: decode, do, respond."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp

from api.accounting.request_admission import REQUIRES_ADMISSION
from api.agent import services
from api.agent.answers import BashAnswer, ChatAnswer, CodeAnswer, FileAnswer, ModelEntries, Step
from api.agent.requests import AnalyzeRequest, BashRequest, ChatRequest, CodeRequest, FileReadRequest
from api.agent.services import AgentServices
from api.auth.middleware import get_principal
from api.conversation.parameters import Policy
from api.core.caller import get_caller
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.scopes import ANY_SCOPE, REQUIRED_SCOPE
from api.dialects.rest import decode
from api.dialects.rest.encode import RestEncoder
from api.http import request_body
from api.http.event_stream import EventStreamResponse
from api.http.json_decoding import BodyDecoder


def build_response(
    agent_services: AgentServices, policy: Policy, steps: AsyncGenerator[Step], *, stream: bool | None
) -> ASGIApp:
    """The steps as a response."""
    headers = agent_services.turn_client.build_window_headers()
    return EventStreamResponse(
        number_steps(steps), RestEncoder(), stream=bool(stream), keepalive_interval=policy.keep_alive, headers=headers
    )


EVENTS = (
    "Named events. `start` {model}; `text` {text} and `thinking` {text}: the next words; `tool_start` {id, name, input}, "
    "`tool_output` {id, stream, text} and `tool_end` {id, name, is_error, content}: a tool at work; `output` {stream, "
    "text}: output of a command. The last is `result`, whose data is the plain answer, or `error`, whose data is the body "
    "of an error. Lines that start with a colon only keep the connection alive."
)


async def number_steps(steps: AsyncGenerator[Step]) -> AsyncGenerator[tuple[int, Step]]:
    """The steps of the only answer."""
    async with aclosing(steps):
        async for step in steps:
            yield 0, step


@post(
    "/api/chat",
    status_code=200,
    opt={ENDPOINT: Endpoint(ChatAnswer, ChatRequest, events=EVENTS), REQUIRED_SCOPE: "chat", REQUIRES_ADMISSION: True},
)
async def post_chat(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    shop: NamedDependency[AgentServices],
    decoding: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Answer a prompt.

    The model has no tools here. A client that disconnects ends the answer at once.
    """
    who = get_caller(request)
    ask = await decoding.decode(who.key_id, await request_body.read(request), decode.decode_chat)
    return build_response(shop, policy, await services.chat(shop, ask, who), stream=ask.stream)


@post(
    "/api/code",
    status_code=200,
    opt={ENDPOINT: Endpoint(CodeAnswer, CodeRequest, events=EVENTS), REQUIRED_SCOPE: "code", REQUIRES_ADMISSION: True},
)
async def post_code(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    shop: NamedDependency[AgentServices],
    decoding: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Let a model work on files and with commands.

    The model explores the allowed files and runs the allowed commands, in as many turns as it needs, up to a limit. It
    is told which calls are refused, and continues. A client that disconnects ends the work at once.
    """
    who = get_caller(request)
    ask = await decoding.decode(who.key_id, await request_body.read(request), decode.decode_code)
    return build_response(shop, policy, await services.code(shop, ask, who), stream=ask.stream)


@post(
    "/api/analyze",
    status_code=200,
    opt={
        ENDPOINT: Endpoint(ChatAnswer, AnalyzeRequest, events=EVENTS),
        REQUIRED_SCOPE: "code",
        REQUIRES_ADMISSION: True,
    },
)
async def post_analyze(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    shop: NamedDependency[AgentServices],
    decoding: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Answer a prompt about files.

    The files reach the model as documents with their names. A client that disconnects ends the answer at once.
    """
    who = get_caller(request)
    ask = await decoding.decode(who.key_id, await request_body.read(request), decode.decode_analyze)
    return build_response(shop, policy, await services.analyze(shop, ask, who), stream=ask.stream)


@post(
    "/api/tools/file-read",
    status_code=200,
    opt={ENDPOINT: Endpoint(FileAnswer, FileReadRequest), REQUIRED_SCOPE: "files", REQUIRES_ADMISSION: True},
)
async def post_file_read(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    shop: NamedDependency[AgentServices],
    decoding: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Read a file.

    A tools executor reads it in a sandbox.
    """
    who = get_caller(request)
    ask = await decoding.decode(who.key_id, await request_body.read(request), decode.decode_file_read)
    return build_response(shop, policy, await services.read_file(shop, ask, who), stream=False)


@post(
    "/api/tools/bash",
    status_code=200,
    opt={ENDPOINT: Endpoint(BashAnswer, BashRequest, events=EVENTS), REQUIRED_SCOPE: "bash", REQUIRES_ADMISSION: True},
)
async def post_bash(
    request: Request[object, object, State],
    policy: NamedDependency[Policy],
    shop: NamedDependency[AgentServices],
    decoding: NamedDependency[BodyDecoder],
) -> ASGIApp:
    """Run commands.

    A tools executor runs them in a sandbox. A client that disconnects ends them at once.
    """
    who = get_caller(request)
    ask = await decoding.decode(who.key_id, await request_body.read(request), decode.decode_bash)
    return build_response(shop, policy, await services.run_command(shop, ask, who), stream=ask.stream)


@get("/api/models", opt={ENDPOINT: Endpoint(ModelEntries), REQUIRED_SCOPE: ANY_SCOPE})
async def get_models(
    request: Request[object, object, State], shop: NamedDependency[AgentServices]
) -> Response[ModelEntries]:
    """List the names of models.

    Returns every name that the key may use, and the model that it stands for.
    """
    return Response(await services.list_models(shop, get_principal(request).key))


router = Router(
    "/", tags=["REST"], route_handlers=[post_chat, post_code, post_analyze, post_file_read, post_bash, get_models]
)
