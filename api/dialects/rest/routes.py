"""The handlers of REST."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.types import ASGIApp
from msgspec import Struct

from api.accounting.request_admission import post_job
from api.agent import services
from api.agent.answers import BashAnswer, ChatAnswer, CodeAnswer, FileAnswer, ModelEntries, Step
from api.agent.requests import AnalyzeRequest, BashRequest, ChatRequest, CodeRequest, FileReadRequest
from api.agent.services import AgentServices
from api.auth.middleware import get_principal
from api.conversation.fields import decode_json
from api.conversation.parameters import Policy
from api.core.caller import get_caller
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.scopes import ANY_SCOPE, REQUIRED_SCOPE
from api.dialects.rest.encode import RestEncoder
from api.http import request_body
from api.http.event_stream import EventStreamResponse
from api.http.json_decoding import BodyDecoder

DECODERS = {kind: msgspec.json.Decoder(kind) for kind in services.SERVICES}
EVENTS = (
    "Named events. `start` {model}; `text` {text} and `thinking` {text}: the next words; `tool_start` {id, name, input}, "
    "`tool_output` {id, stream, text} and `tool_end` {id, name, is_error, content}: a tool at work; `output` {stream, "
    "text}: output of a command. The last is `result`, whose data is the plain answer, or `error`, whose data is the body "
    "of an error. Lines that start with a colon only keep the connection alive."
)


class RestResponder(Struct, frozen=True):
    """Decodes requests and sends the steps of their services as responses."""

    policy: Policy
    agent_services: AgentServices
    decoder: BodyDecoder

    async def respond(self, request: Request[object, object, State], kind: type[Struct]) -> ASGIApp:
        """Returns the response to a request. kind: the struct of its body. Raises Problem."""
        caller = get_caller(request)
        data = await request_body.read(request)
        body = await self.decoder.decode(caller.key_id, data, lambda body: decode_json(body, DECODERS[kind]))
        return EventStreamResponse(
            number_steps(await services.SERVICES[kind](self.agent_services, body, caller)),
            RestEncoder(),
            stream=bool(getattr(body, "stream", False)),
            keepalive_interval=self.policy.keep_alive,
            headers=self.agent_services.turn_client.build_window_headers(),
        )


async def number_steps(steps: AsyncGenerator[Step]) -> AsyncGenerator[tuple[int, Step]]:
    """Yields the steps of the only answer, each with that answer's number."""
    async with aclosing(steps):
        async for step in steps:
            yield 0, step


@post_job("/api/chat", "chat", Endpoint(ChatAnswer, ChatRequest, events=EVENTS))
async def post_chat(request: Request[object, object, State], rest_responder: NamedDependency[RestResponder]) -> ASGIApp:
    """Answer a prompt.

    The model has no tools here. A client that disconnects ends the answer at once.
    """
    return await rest_responder.respond(request, ChatRequest)


@post_job("/api/code", "code", Endpoint(CodeAnswer, CodeRequest, events=EVENTS))
async def post_code(request: Request[object, object, State], rest_responder: NamedDependency[RestResponder]) -> ASGIApp:
    """Let a model work on files and with commands.

    The model explores the allowed files and runs the allowed commands, in as many turns as it needs, up to a limit. It
    learns which calls are refused, and continues. A client that disconnects ends the work at once.
    """
    return await rest_responder.respond(request, CodeRequest)


@post_job("/api/analyze", "code", Endpoint(ChatAnswer, AnalyzeRequest, events=EVENTS))
async def post_analyze(
    request: Request[object, object, State], rest_responder: NamedDependency[RestResponder]
) -> ASGIApp:
    """Answer a prompt about files.

    The files reach the model as documents with their names. A client that disconnects ends the answer at once.
    """
    return await rest_responder.respond(request, AnalyzeRequest)


@post_job("/api/tools/file-read", "files", Endpoint(FileAnswer, FileReadRequest))
async def post_file_read(
    request: Request[object, object, State], rest_responder: NamedDependency[RestResponder]
) -> ASGIApp:
    """Read a file.

    A tools executor reads it in a sandbox.
    """
    return await rest_responder.respond(request, FileReadRequest)


@post_job("/api/tools/bash", "bash", Endpoint(BashAnswer, BashRequest, events=EVENTS))
async def post_bash(request: Request[object, object, State], rest_responder: NamedDependency[RestResponder]) -> ASGIApp:
    """Run commands.

    A tools executor runs them in a sandbox. A client that disconnects ends them at once.
    """
    return await rest_responder.respond(request, BashRequest)


@get("/api/models", opt={ENDPOINT: Endpoint(ModelEntries), REQUIRED_SCOPE: ANY_SCOPE})
async def get_models(
    request: Request[object, object, State], agent_services: NamedDependency[AgentServices]
) -> Response[ModelEntries]:
    """List the names of models.

    Returns every name that the key may use, and the model that it stands for.
    """
    return Response(await services.list_models(agent_services, get_principal(request).key))


router = Router("/", route_handlers=[post_chat, post_code, post_analyze, post_file_read, post_bash, get_models])
