"""Everything of the API put together, in one place."""

import structlog
from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp

from api.accounting.ledger import Ledger
from api.accounting.meter import Meter
from api.accounting.rate_limits import RateLimiter
from api.accounting.request_admission import AdmissionMiddleware
from api.accounting.storage_sync import StorageConfig, StorageSync, unavailable_problem
from api.admin import routes as rest_admin
from api.agent.checks import AgentLimits
from api.agent.services import AgentServices
from api.auth.body_limits import BodyLimitsMiddleware
from api.auth.host_check import HostPolicy
from api.auth.middleware import AuthMiddleware
from api.conversation.parameters import Policy
from api.core.keys import Keyring
from api.core.problems import Problem, problem_from_failure, problem_from_http_exception
from api.database.engine import DatabaseUnavailable
from api.database.folder import JOURNAL_FOLDER
from api.dialects.anthropic import routes as anthropic
from api.dialects.error_rendering import render_error
from api.dialects.mcp.routes import McpEndpoint
from api.dialects.openai_chat import routes as openai_chat
from api.dialects.openai_completions import routes as openai_completions
from api.dialects.openai_responses import routes as openai_responses
from api.dialects.openai_responses.running_responses import RunningResponses
from api.dialects.openai_responses.store import ResponseStore
from api.dialects.rest import routes as rest
from api.dialects.unsupported import find_unsupported
from api.executors.pool import ExecutorPool
from api.executors.tool_client import ToolClient
from api.executors.turn_client import TurnClient
from api.http.client_address import ClientAddressMiddleware
from api.http.drain import Drain
from api.http.inflight_bodies import MAX_BODY_BYTES, InflightBodies
from api.http.json_decoding import BodyDecoder
from api.http.private_responses import PrivateResponsesMiddleware
from api.http.request_context import RequestContextMiddleware
from api.media.fetcher import Fetcher
from api.models.catalogue import Catalogue
from api.observability import health, scrape
from api.observability.http_metrics import HttpMetricsMiddleware
from api.observability.http_trace import HttpTraceMiddleware
from api.observability.job_metrics import JobMetrics
from api.observability.metrics import Metrics
from api.openapi import routes as docs
from api.openapi.document import Documentation, version
from api.settings import Settings
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tracing import Tracing

log = structlog.get_logger()


def create_app(
    settings: Settings, drain: Drain, tracing: Tracing | None = None, metrics: Metrics | None = None
) -> ASGIApp:
    """The whole application, for one set of settings."""
    executors = ExecutorPool(settings.run_dir.absolute(), "claude")
    tools = ExecutorPool(settings.run_dir.absolute(), "tools")
    catalogue = Catalogue(executors, settings.default_model, settings.model_aliases)
    metrics = metrics or Metrics()
    keyring = Keyring()
    counters = RateLimiter(settings.rate_limit_url.get_secret_value() if settings.rate_limit_url else None)
    place = build_storage_config(settings)
    ledger = Ledger(place.folder / JOURNAL_FOLDER)
    books = Meter(keyring, counters, ledger, catalogue)
    keeper = StorageSync(place, keyring, counters, ledger, books.revocation.check)
    dispatch = TurnClient(
        executors, drain, settings.request_timeout, books, observers=(JobMetrics(metrics),), tracing=tracing
    )
    hands = ToolClient(tools, drain, settings.request_timeout, books, tracing)
    limits = AgentLimits(settings.max_prompt, settings.max_turns)
    shop = AgentServices(dispatch, hands, catalogue, limits)
    fetcher = Fetcher(settings.fetch_images)
    policy = Policy(
        settings.reject_unsupported_params,
        settings.max_choices,
        settings.sse_keepalive_interval,
        settings.show_reasoning,
    )
    store = ResponseStore(
        settings.response_store_max_items, settings.response_store_max_bytes, settings.response_store_ttl
    )
    running = RunningResponses()
    decoding = BodyDecoder()
    documentation = Documentation(policy, limits)
    mcp = McpEndpoint(
        shop,
        build_host_policy(settings),
        drain,
        version(),
        decoding=decoding,
        revocation=books.revocation,
        keep_alive=settings.sse_keepalive_interval,
    )
    app = Litestar(
        route_handlers=[
            openai_chat.router,
            openai_responses.router,
            anthropic.router,
            openai_completions.router,
            rest.router,
            rest_admin.router,
            mcp.route(),
            health.router,
            scrape.router,
            docs.router,
        ],
        dependencies={
            "executors": Provide(lambda: executors, sync_to_thread=False),
            "tools": Provide(lambda: tools, sync_to_thread=False),
            "metrics": Provide(lambda: metrics, sync_to_thread=False),
            "catalogue": Provide(lambda: catalogue, sync_to_thread=False),
            "dispatch": Provide(lambda: dispatch, sync_to_thread=False),
            "hands": Provide(lambda: hands, sync_to_thread=False),
            "shop": Provide(lambda: shop, sync_to_thread=False),
            "drain": Provide(lambda: drain, sync_to_thread=False),
            "keyring": Provide(lambda: keyring, sync_to_thread=False),
            "keeper": Provide(lambda: keeper, sync_to_thread=False),
            "books": Provide(lambda: books, sync_to_thread=False),
            "decoding": Provide(lambda: decoding, sync_to_thread=False),
            "fetcher": Provide(lambda: fetcher, sync_to_thread=False),
            "store": Provide(lambda: store, sync_to_thread=False),
            "running": Provide(lambda: running, sync_to_thread=False),
            "policy": Provide(lambda: policy, sync_to_thread=False),
            "documentation": Provide(lambda: documentation, sync_to_thread=False),
        },
        on_startup=[keeper.start],
        on_shutdown=[running.close, fetcher.close, keeper.close],
        middleware=[
            DefineMiddleware(
                AuthMiddleware,
                token=settings.api_secret_token.get_secret_value(),
                neighbours=settings.metrics_allow,
                keyring=keyring,
                left=books.build_rate_limit_headers,
                known_host=build_host_policy(settings).is_known_or_local,
            ),
            DefineMiddleware(AdmissionMiddleware, books=books),
        ],
        lifespan=[mcp.lifespan],
        exception_handlers={
            Problem: on_problem,
            DatabaseUnavailable: on_unavailable,
            HTTPException: on_http_exception,
            Exception: on_exception,
        },
        cors_config=build_cors_config(settings),
        openapi_config=docs.build_config(version(), documentation),
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
    )
    documentation.build(app)
    bounded = BodyLimitsMiddleware(
        PrivateResponsesMiddleware(app), InflightBodies(settings.max_inflight_body_bytes), settings.read_body_timeout
    )
    watched = RequestContextMiddleware(
        HttpTraceMiddleware(HttpMetricsMiddleware(bounded, metrics), tracing or Tracing())
    )
    return ClientAddressMiddleware(watched, settings.trusted_proxies)


def build_storage_config(settings: Settings) -> StorageConfig:
    """Where keys and ledger are."""
    folder = settings.data_dir.absolute()
    return StorageConfig(folder, settings.database_url, settings.key_pepper, settings.usage_retention_days)


def build_host_policy(settings: Settings) -> HostPolicy:
    """The names that this server may be reached by, by browsers at /mcp and without a key."""
    origins = settings.cors_origins or ("*",) if settings.enable_cors else ()
    return HostPolicy(
        frozenset({settings.host, *(name.lower() for name in settings.allowed_hosts)}), frozenset(origins)
    )


def build_cors_config(settings: Settings) -> CORSConfig | None:
    """Cross-origin rules for browsers: none unless ENABLE_CORS; never with credentials, since keys travel in a header."""
    if not settings.enable_cors:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins) or ["*"],
        allow_methods=["GET", "POST", "DELETE", "PATCH", "OPTIONS"],
        allow_headers=["*"],
        allow_credentials=False,
        expose_headers=["*", "x-request-id"],
    )


def on_problem(request: Request[object, object, State], problem: Problem) -> Response[bytes]:
    """A request that is refused."""
    return Response(
        render_error(request, problem),
        status_code=problem.status,
        headers=problem.build_headers(),
        media_type="application/json",
    )


def on_unavailable(request: Request[object, object, State], error: DatabaseUnavailable) -> Response[bytes]:
    """What needs the database can't be done now."""
    return on_problem(request, unavailable_problem(str(error)))


def on_http_exception(request: Request[object, object, State], error: HTTPException) -> Response[bytes]:
    """A request that the framework refuses. It leaves out which methods there are (RFC 9110 §15.5.6)."""
    # What is absent may look like a response's id, which takes other methods.
    known = find_unsupported(request.scope["path"]) if error.status_code in {404, 405} else None
    response = on_problem(request, known or problem_from_http_exception(error))
    if response.status_code == 405:
        routes = [route for route in request.app.routes if isinstance(route, HTTPRoute) and matches(route, request)]
        allowed = ", ".join(sorted({method for route in routes for method in route.methods}))
        response.headers["allow"] = allowed or (error.headers or {}).get("allow", "")
    return response


def matches(route: HTTPRoute, request: Request[object, object, State]) -> bool:
    """Whether a route is the one of the request's path; a parameter stands for all that follows."""
    fixed, parameter, _ = route.path_format.partition("{")
    path = request.scope["path"].rstrip("/")
    return path.startswith(fixed) if parameter else path == fixed


def on_exception(request: Request[object, object, State], error: Exception) -> Response[bytes]:
    """A fault of ours: the log has it whole, the client gets a sentence."""
    log.error("a request failed", exc_info=error)
    return on_problem(request, problem_from_failure(Failed(ErrorKind.INTERNAL)))
