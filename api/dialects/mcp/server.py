"""The protocol's server: each method that is served, and which function of ours it calls.

Law: a call that is cancelled ends its job: closing the steps closes the executor's connection. Nothing here knows how an
answer is had; `api.agent` does, as for REST.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import structlog
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)
from msgspec import Struct, structs

from api.agent import services
from api.agent.answers import BashAnswer, ChatAnswer, CodeAnswer, FileAnswer, Step
from api.agent.requests import AnalyzeAsk, BashAsk, ChatAsk, CodeAsk, FileReadAsk
from api.auth.middleware import permit, principal_of
from api.core.caller import Asking, asking
from api.core.keys import Principal
from api.core.problems import Problem, of_failure
from api.core.scopes import ANY
from api.dialects.mcp import prompts, resources
from api.dialects.mcp.decode import asked
from api.dialects.mcp.encode import progress, refusal, result
from api.dialects.mcp.models import BY_NAME, OFFERS
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tracing import trace_id

INSTRUCTIONS = (
    "Claude models of this server's owner, and the files and commands that the owner allows. `chat` asks a model; `analyze` "
    "asks it about files; `code` lets it work on them; `file_read` and `bash` work without a model. What is allowed is "
    "listed as resources."
)
# The protocol's own code up to 2025-11-25; later versions say that an address is a wrong parameter.
RESOURCE_NOT_FOUND = -32002
# The scope of resources and prompts.
FILES = "files"

type Context = ServerRequestContext[Any, Any]

log = structlog.get_logger()


class Door:
    """The handlers. They hold nothing of a session's."""

    def __init__(self, shop: services.Workshop, version: str) -> None:
        self._shop = shop
        self.server: Server[Any] = Server(
            "claude-api-server",
            version=version,
            title="Claude API Server",
            instructions=INSTRUCTIONS,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
        )

    async def list_tools(self, context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
        """Every tool that the key may call."""
        return ListToolsResult(tools=[offer.tool() for offer in OFFERS if may(context, offer.scope)])

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        """Do what a tool does, telling of it on the way."""
        offer = BY_NAME.get(params.name)
        if offer is None:
            known = ", ".join(offer.name for offer in OFFERS if may(context, offer.scope))
            raise MCPError(INVALID_PARAMS, f"There is no tool `{params.name[:100]}`; there are {known}.")
        asking = who(context, offer.scope)
        # A session's task has the context of the request that began it, not of the one that calls.
        with structlog.contextvars.bound_contextvars(**names(asking)):
            try:
                permit(principal(context), offer.scope)
                ask = asked(offer, params.arguments)
                steps = await self._steps(ask, asking)
                if steps is None:
                    return result(await services.list_models(self._shop, principal(context).key))
                return result(await told(steps, context))
            except Problem as problem:
                return refusal(problem)
            except Exception:
                log.exception("a tool failed", tool=offer.name)
                return refusal(of_failure(Failed(ErrorKind.INTERNAL)))

    async def _steps(self, ask: Struct, asking: Asking) -> AsyncGenerator[Step] | None:
        """What happens; None when the answer is there at once. Raises Problem."""
        match ask:
            case ChatAsk():
                return await services.chat(self._shop, ask, asking)
            case CodeAsk():
                return await services.code(self._shop, ask, asking)
            case AnalyzeAsk():
                return await services.analyze(self._shop, ask, asking)
            case FileReadAsk():
                return await services.file_read(self._shop, ask, asking)
            case BashAsk():
                return await services.bash(self._shop, ask, asking)
            case _:
                return None

    async def list_resources(self, context: Context, _params: PaginatedRequestParams | None) -> ListResourcesResult:
        """The allowed paths, for keys that may read files."""
        if not may(context, FILES):
            return ListResourcesResult(resources=[])
        return ListResourcesResult(resources=await resources.listed(self._shop.hands, who(context)))

    async def list_templates(
        self, context: Context, _params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """How addresses are made, for keys that may read files."""
        return ListResourceTemplatesResult(resource_templates=resources.TEMPLATES if may(context, FILES) else [])

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """A file, or what a folder holds."""
        try:
            permit(principal(context), FILES)
            return ReadResourceResult(
                contents=[await resources.contents(str(params.uri), self._shop.hands, who(context))]
            )
        except Problem as problem:
            raise failed(problem, context, {"uri": str(params.uri)}) from problem

    async def list_prompts(self, context: Context, _params: PaginatedRequestParams | None) -> ListPromptsResult:
        """Every prompt, for keys that may read files, since each is about one."""
        return ListPromptsResult(prompts=prompts.listed() if may(context, FILES) else [])

    async def get_prompt(self, context: Context, params: GetPromptRequestParams) -> GetPromptResult:
        """A prompt with its file."""
        try:
            permit(principal(context), FILES)
            return await prompts.filled(params.name, params.arguments, self._shop.hands, who(context))
        except Problem as problem:
            raise MCPError(INVALID_PARAMS, problem.message) from problem


async def told(steps: AsyncGenerator[Step], context: Context) -> Struct:
    """The answer, after telling of each step. Raises Problem."""
    count = 0
    async with aclosing(steps):
        async for step in steps:
            match step:
                case Failed():
                    raise of_failure(step)
                case ChatAnswer() | CodeAnswer() | FileAnswer() | BashAnswer():
                    return step
                case _ if message := progress(step):
                    count += 1
                    await context.session.report_progress(count, message=message)
                case _:
                    pass
    raise of_failure(Failed(ErrorKind.INTERNAL))


def principal(context: Context) -> Principal:
    """Whose key brought the message."""
    return principal_of(context.request)  # pyright: ignore[reportArgumentType] # Starlette's, with the same scope


def may(context: Context, scope: str) -> bool:
    """Whether that key has a scope."""
    return scope == ANY or principal(context).may(scope)


def who(context: Context, scope: str = FILES) -> Asking:
    """Who asks, by the HTTP request that brought the message. scope: what the job needs beside that of /mcp."""
    found = asking(context.request)  # pyright: ignore[reportArgumentType] # Starlette's, with the same scope
    return found if scope == ANY else structs.replace(found, scopes=(*found.scopes, scope))


def names(asking: Asking) -> dict[str, str]:
    """What the lines of the log have of a request."""
    trace = trace_id(asking.traceparent)
    return {"request_id": asking.request_id, **({"trace_id": trace} if trace else {})}


def failed(problem: Problem, context: Context, data: dict[str, str]) -> MCPError:
    """A problem as the protocol's own error."""
    if problem.status == 404:
        legacy = context.protocol_version < "2026"
        return MCPError(RESOURCE_NOT_FOUND if legacy else INVALID_PARAMS, problem.message, data)
    return MCPError(INTERNAL_ERROR if problem.status >= 500 else INVALID_PARAMS, problem.message, data)
