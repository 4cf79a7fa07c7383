"""Health endpoints, for people, supervisors and load balancers. They need no key.

Invariants: no response names an account or a prompt. Only callers with a key for files or commands see paths.
"""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Literal

from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from msgspec import UNSET, Struct, UnsetType, structs

from api.accounting.storage_sync import StorageSync
from api.auth.middleware import PUBLIC
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.request_state import PRINCIPAL
from api.core.schema import doc
from api.executors.pool import ExecutorPool
from api.executors.tool_client import ToolClient, is_available
from api.http.drain import Drain
from api.models.catalogue import Catalogue
from shared.events import UsageWindows
from shared.tool_jobs import ToolsStatus
from shared.wire import ClaudeStatus

NO_ANSWER = "It does not answer; its log says why."
DETAILS_WITHHELD = "Something is wrong with it, or missing in its sandbox: ask with a key, or look into its log."
UNTRUSTED_SOCKET = "An executor's socket can't be trusted, and is not used: ask with a key, or look into the log."
# Keys with one of these scopes see the server's paths and commands.
PATH_SCOPES = ("code", "files", "bash", "admin")

type Mode = Literal["online", "offline", "unknown"]


class ExecutorHealth(Struct, frozen=True):
    """An executor: a process that runs the CLI."""

    name: Annotated[str, doc("Its name.")]
    up: Annotated[bool, doc("It can answer.")]
    problem: Annotated[str, doc("What to do when it can't; else empty.")] = ""
    max_concurrent: Annotated[int, doc("How many answers it can write at once.")] = 0
    running: Annotated[int, doc("How many it writes now.")] = 0
    max_queue: Annotated[int, doc("How many may wait for a place.")] = 0
    waiting: Annotated[int, doc("How many wait now.")] = 0
    idle_processes: Annotated[int, doc("How many CLI processes are warm and free.")] = 0
    missing: Annotated[
        tuple[str, ...] | UnsetType, doc("What the CLI's sandbox lacks on this host; for callers with a key.")
    ] = UNSET


class ToolsHealth(Struct, frozen=True):
    """A tools executor."""

    name: Annotated[str, doc("Its name.")]
    up: Annotated[bool, doc("Whether it takes jobs.")]
    max_concurrent: Annotated[int, doc("Jobs at a time.")] = 0
    running: Annotated[int, doc("Jobs under way.")] = 0
    waiting: Annotated[int, doc("Jobs that wait.")] = 0
    problem: Annotated[
        str, doc("Why it serves nothing, and what to do; without a key, whether something is wrong.")
    ] = ""
    missing: Annotated[
        tuple[str, ...] | UnsetType, doc("What its sandbox lacks on this host; for callers with a key.")
    ] = UNSET
    allowed_paths: Annotated[tuple[str, ...] | UnsetType, doc("What may be read; for callers with a key.")] = UNSET
    writable_paths: Annotated[tuple[str, ...] | UnsetType, doc("What may be written to; for callers with a key.")] = (
        UNSET
    )
    allowed_commands: Annotated[tuple[str, ...] | UnsetType, doc("What may be run; for callers with a key.")] = UNSET


class Health(Struct, frozen=True):
    """How the server is, and what it is made of."""

    status: Annotated[
        Literal["ok", "degraded", "down", "draining"],
        doc("All is well, some executor is down or lacks something, nothing can answer, or the server is ending."),
    ]
    claude_cli_found: Annotated[bool, doc("An executor has found the Claude Code CLI.")]
    cli_version: Annotated[str, doc("The CLI's version; empty if it does not start.")]
    mode: Annotated[Mode, doc("`offline`: there is no Claude login, and a stand-in answers.")]
    default_model: Annotated[str, doc("Who answers when a request names no model.")]
    max_concurrent: Annotated[int, doc("How many answers can be under way at once.")]
    executors: Annotated[list[ExecutorHealth], doc("Each executor.")]
    tools: Annotated[tuple[ToolsHealth, ...], doc("The executors that serve files and commands.")] = ()
    problems: Annotated[
        list[str], doc("What can't be done with keys, limits and the ledger, and the fix; chat continues to work.")
    ] = []
    usage_windows: Annotated[
        UsageWindows | UnsetType,
        doc("The subscription's usage, as the service last told of it. Only for callers with a key."),
    ] = UNSET


class Probe(Struct, frozen=True):
    """Whether the server is alive, or ready for a chat."""

    status: Annotated[Literal["live", "ready", "down", "draining"], doc("The state.")]


class About(Struct, frozen=True):
    """What this is, and where its parts are."""

    name: Annotated[str, doc("The program.")] = "Claude API Server"
    health: Annotated[str, doc("Where its health is.")] = "/health"
    models: Annotated[str, doc("Where its models are.")] = "/v1/models"
    docs: Annotated[str, doc("Where its documentation is.")] = "/docs"


def build_executor_health(name: str, status: ClaudeStatus | None, *, has_key: bool = False) -> ExecutorHealth:
    """Returns the health of one executor, from its status."""
    if status is None:
        return ExecutorHealth(name, up=False, problem=NO_ANSWER)
    return ExecutorHealth(
        name,
        up=bool(status.cli_version) and not status.draining,
        problem=status.problem,
        max_concurrent=status.max_concurrent,
        running=status.running,
        max_queue=status.max_queue,
        waiting=status.waiting,
        idle_processes=status.idle_processes,
        missing=status.missing if has_key else UNSET,
    )


def build_tools_health(name: str, status: ToolsStatus | None, *, has_key: bool) -> ToolsHealth:
    """Returns the health of one tools executor, from its status."""
    if status is None:
        return ToolsHealth(name, up=False, problem=NO_ANSWER)
    known = ToolsHealth(name, is_available(status), status.max_concurrent, status.running, status.waiting)
    if not has_key:
        # The problem may name a path.
        return structs.replace(known, problem=DETAILS_WITHHELD if status.problem or status.missing else "")
    return structs.replace(
        known,
        problem=status.problem,
        missing=status.missing,
        allowed_paths=status.allowed_paths,
        writable_paths=status.writable_paths,
        allowed_commands=status.allowed_commands,
    )


def build_health(
    statuses: dict[str, ClaudeStatus | None],
    default_model: str,
    *,
    draining: bool,
    tools_statuses: Mapping[str, ToolsStatus | None] = MappingProxyType({}),
    has_key: bool = False,
    sees_paths: bool = False,
    problems: Sequence[str] = (),
) -> Health:
    """Returns the health of the server. Missing tools executors do not degrade it.

    has_key: the caller has a key. sees_paths: the key is for files or commands.
    """
    executors = [build_executor_health(name, status, has_key=has_key) for name, status in statuses.items()]
    known = [status for status in statuses.values() if status]
    up = [executor for executor in executors if executor.up]
    modes = {status.mode for status in known}
    all_up = len(up) == len(executors) and all(status and is_available(status) for status in tools_statuses.values())
    return Health(
        status="draining" if draining else "down" if not up else "ok" if all_up and not problems else "degraded",
        claude_cli_found=any(status.cli_found for status in known),
        cli_version=next((status.cli_version for status in known if status.cli_version), ""),
        mode="unknown" if not modes else "offline" if "offline" in modes else "online",
        default_model=default_model,
        max_concurrent=sum(executor.max_concurrent for executor in up),
        executors=executors,
        problems=list(problems),
        tools=tuple(build_tools_health(name, status, has_key=sees_paths) for name, status in tools_statuses.items()),
    )


@get("/health", opt={ENDPOINT: Endpoint(Health), PUBLIC: True})
async def get_health(
    request: Request[object, object, State],
    *,
    claude_executors: NamedDependency[ExecutorPool],
    tool_client: NamedDependency[ToolClient],
    catalogue: NamedDependency[Catalogue],
    drain: NamedDependency[Drain],
    storage_sync: NamedDependency[StorageSync],
) -> Response[Health]:
    """Report the server's health.

    Returns 200 while the server answers at all: its executors, its CLI, and whether it has a login. Callers with a key
    also see the subscription's usage windows.
    """
    statuses, tools_statuses = await asyncio.gather(claude_executors.fetch_statuses(), tool_client.fetch_statuses())
    principal = request.scope["state"].get(PRINCIPAL)
    sees_paths = principal is not None and principal.has_any_scope(*PATH_SCOPES)
    untrusted = list(dict.fromkeys((*claude_executors.list_problems(), *tool_client.list_problems())))
    windows = [status.windows for status in statuses.values() if status and status.windows]
    state = build_health(
        statuses,
        catalogue.default_model,
        draining=drain.is_draining,
        tools_statuses=tools_statuses,
        has_key=principal is not None,
        sees_paths=sees_paths,
        problems=[*storage_sync.problems, *(untrusted if sees_paths or not untrusted else [UNTRUSTED_SOCKET])],
    )
    if windows and principal:
        state = structs.replace(state, usage_windows=windows[0])
    return Response(state)


@get("/health/live", opt={ENDPOINT: Endpoint(Probe), PUBLIC: True})
async def get_live() -> Response[Probe]:
    """Report that the process is alive.

    For supervisors: restart the process if this does not answer.
    """
    return Response(Probe("live"))


@get("/health/ready", opt={ENDPOINT: Endpoint(Probe, errors=(503,)), PUBLIC: True})
async def get_ready(claude_executors: NamedDependency[ExecutorPool], drain: NamedDependency[Drain]) -> Response[Probe]:
    """Report whether the server can answer a chat now.

    For load balancers: send requests elsewhere while this is 503.
    """
    state = build_health(await claude_executors.fetch_statuses(), "", draining=drain.is_draining).status
    return (
        Response(Probe("ready"), status_code=200)
        if state in ("ok", "degraded")
        else Response(Probe(state), status_code=503)
    )


@get(["/", "/v1"], opt={ENDPOINT: Endpoint(About), PUBLIC: True})
async def get_root() -> Response[About]:
    """List the main addresses.

    For clients and people that look here first.
    """
    return Response(About())


router = Router("/", tags=["Health"], route_handlers=[get_root, get_health, get_live, get_ready])
