"""Health endpoints, for people, supervisors and load balancers. They need no key.

Invariants: no response names an account or a prompt. Only callers with a key for files or commands see paths.
"""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from msgspec import UNSET, Struct, UnsetType, structs

from api.accounting.storage_sync import StorageSync
from api.auth.middleware import PUBLIC
from api.core.request_state import PRINCIPAL
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
    """One executor. up: it answers and its CLI starts. problem: the fix if it is not up.

    missing: what the CLI's sandbox lacks on that host; only for callers with a key.
    """

    name: str
    up: bool
    problem: str = ""
    max_concurrent: int = 0
    running: int = 0
    max_queue: int = 0
    waiting: int = 0
    idle_processes: int = 0
    missing: tuple[str, ...] | UnsetType = UNSET


class ToolsHealth(Struct, frozen=True):
    """A tools executor. problem: the fix. The fields after it are only for callers with a key for files or commands."""

    name: str
    up: bool
    max_concurrent: int = 0
    running: int = 0
    waiting: int = 0
    problem: str = ""
    missing: tuple[str, ...] | UnsetType = UNSET
    allowed_paths: tuple[str, ...] | UnsetType = UNSET
    writable_paths: tuple[str, ...] | UnsetType = UNSET
    allowed_commands: tuple[str, ...] | UnsetType = UNSET


class Health(Struct, frozen=True):
    """The whole server. status: ok, degraded, down (no chat can be answered) or draining.

    degraded: an executor of either role is down, or there are problems. What a sandbox lacks is reported, and does not
    degrade, since other means replace it.
    problems: problems of keys, limits and ledger, and executors that can't be trusted, each with its fix.
    usage_windows: the subscription's, as last reported by the service; only for callers with a key.
    """

    status: Literal["ok", "degraded", "down", "draining"]
    claude_cli_found: bool
    cli_version: str
    mode: Mode
    default_model: str
    max_concurrent: int
    executors: list[ExecutorHealth]
    tools: tuple[ToolsHealth, ...] = ()
    problems: list[str] = []
    usage_windows: UsageWindows | UnsetType = UNSET


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


@get("/health", opt={PUBLIC: True})
async def get_health(
    request: Request[object, object, State],
    *,
    claude_executors: NamedDependency[ExecutorPool],
    tool_client: NamedDependency[ToolClient],
    catalogue: NamedDependency[Catalogue],
    drain: NamedDependency[Drain],
    storage_sync: NamedDependency[StorageSync],
) -> Response[Health]:
    """Return the server's health; 200 as long as it answers."""
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


@get("/health/live", opt={PUBLIC: True})
async def get_live() -> Response[dict[str, str]]:
    """Return 200 as long as this process answers."""
    return Response({"status": "live"})


@get("/health/ready", opt={PUBLIC: True})
async def get_ready(
    claude_executors: NamedDependency[ExecutorPool], drain: NamedDependency[Drain]
) -> Response[dict[str, str]]:
    """Return whether a chat would be answered now: 200 or 503."""
    state = build_health(await claude_executors.fetch_statuses(), "", draining=drain.is_draining).status
    ready = state in {"ok", "degraded"}
    return Response({"status": "ready" if ready else state}, status_code=200 if ready else 503)


@get(["/", "/v1"], opt={PUBLIC: True})
async def get_root() -> Response[dict[str, str]]:
    """Return the name and main addresses, for clients and people that look here first."""
    return Response({"name": "Claude API Server", "health": "/health", "models": "/v1/models", "docs": "/docs"})


router = Router("/", route_handlers=[get_root, get_health, get_live, get_ready])
