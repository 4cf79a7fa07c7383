"""The application: builds its services, its routes and its middleware from the settings."""

from functools import partial

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp, ControllerRouterHandler
from msgspec import Struct

from api.accounting.ledger import Ledger
from api.accounting.meter import Meter
from api.accounting.rate_limits import RateLimiter
from api.accounting.request_admission import AdmissionMiddleware
from api.accounting.storage_sync import StorageSync
from api.admin import routes as admin
from api.agent.checks import AgentLimits
from api.agent.services import AgentServices
from api.auth.host_check import HostPolicy
from api.auth.middleware import AuthMiddleware
from api.conversation.parameters import Policy
from api.core.keys import Keyring
from api.core.problems import Problem
from api.database.engine import DatabaseUnavailable
from api.database.folder import JOURNAL_FOLDER
from api.dialects.anthropic import routes as anthropic
from api.dialects.error_handlers import on_exception, on_http_exception, on_problem, on_unavailable
from api.dialects.mcp.routes import McpEndpoint
from api.dialects.openai_chat import routes as openai_chat
from api.dialects.openai_completions import routes as openai_completions
from api.dialects.openai_responses import routes as openai_responses
from api.dialects.openai_responses.running_responses import RunningResponses
from api.dialects.openai_responses.store import ResponseStore
from api.dialects.rest import routes as rest
from api.dialects.turn_preparation import TurnPreparation
from api.executors.held_conversations import HeldConversations
from api.executors.pool import ExecutorPool
from api.executors.tool_client import ToolClient
from api.executors.turn_client import TurnClient
from api.http.body_limits import BodyLimitsMiddleware
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
from api.openapi import routes as openapi
from api.openapi.document import Documentation, version
from api.settings import Settings
from shared.tracing import Tracing


class Services(Struct, frozen=True):
    """The objects that handlers receive: each field is a dependency of this name."""

    claude_executors: ExecutorPool
    tools_executors: ExecutorPool
    metrics: Metrics
    catalogue: Catalogue
    turn_client: TurnClient
    held_conversations: HeldConversations
    tool_client: ToolClient
    agent_services: AgentServices
    drain: Drain
    keyring: Keyring
    storage_sync: StorageSync
    meter: Meter
    body_decoder: BodyDecoder
    fetcher: Fetcher
    response_store: ResponseStore
    running_responses: RunningResponses
    turns: TurnPreparation
    rest_responder: rest.RestResponder
    policy: Policy
    documentation: Documentation


def create_app(
    settings: Settings, drain: Drain, tracing: Tracing | None = None, metrics: Metrics | None = None
) -> ASGIApp:
    """Returns the whole application for one set of settings."""
    tracing, metrics = tracing or Tracing(), metrics or Metrics()
    services = build_services(settings, drain, tracing, metrics)
    hosts = build_host_policy(settings)
    mcp = McpEndpoint(
        services.agent_services,
        hosts,
        drain,
        version(),
        decoding=services.body_decoder,
        revocation=services.meter.revocation,
        keep_alive=settings.sse_keepalive_interval,
    )
    app = Litestar(
        route_handlers=build_routes(mcp),
        dependencies={name: _provide(getattr(services, name)) for name in Services.__struct_fields__},
        on_startup=[services.storage_sync.start, services.held_conversations.start],
        on_shutdown=[
            services.running_responses.close,
            services.held_conversations.close,
            services.fetcher.close,
            services.storage_sync.close,
        ],
        middleware=build_route_middleware(settings, services, hosts),
        lifespan=[mcp.lifespan],
        exception_handlers={
            Problem: on_problem,
            DatabaseUnavailable: on_unavailable,
            HTTPException: on_http_exception,
            Exception: on_exception,
        },
        cors_config=build_cors_config(settings),
        openapi_config=openapi.build_config(version(), services.documentation),
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
    )
    services.documentation.build(app)
    return wrap_with_middleware(app, settings, tracing, metrics)


def build_services(settings: Settings, drain: Drain, tracing: Tracing, metrics: Metrics) -> Services:
    """Returns the services, connected to each other. Nothing is opened yet."""
    claude_executors = ExecutorPool(settings.run_dir.absolute(), "claude")
    tools_executors = ExecutorPool(settings.run_dir.absolute(), "tools")
    catalogue = Catalogue(claude_executors.fetch_statuses, settings.default_model, settings.model_aliases)
    keyring = Keyring()
    limiter = RateLimiter(settings.rate_limit_url.get_secret_value() if settings.rate_limit_url else None)
    ledger = Ledger(settings.data_dir.absolute() / JOURNAL_FOLDER)
    meter = Meter(keyring, limiter, ledger, catalogue)
    timeout, observers = settings.request_timeout, (partial(JobMetrics, metrics),)
    held = HeldConversations(claude_executors, meter.revocation, settings.api_secret_token.get_secret_value())
    turn_client = TurnClient(claude_executors, drain, timeout, meter, held, observers=observers, tracing=tracing)
    tool_client = ToolClient(tools_executors, drain, timeout, meter, tracing)
    agent_limits = AgentLimits(settings.max_prompt, settings.max_turns)
    agent_services = AgentServices(turn_client, tool_client, catalogue, agent_limits)
    policy = Policy(
        settings.reject_unsupported_params,
        settings.max_choices,
        settings.sse_keepalive_interval,
        settings.show_reasoning,
    )
    body_decoder = BodyDecoder()
    fetcher = Fetcher(settings.fetch_images)
    return Services(
        claude_executors=claude_executors,
        tools_executors=tools_executors,
        metrics=metrics,
        catalogue=catalogue,
        turn_client=turn_client,
        held_conversations=held,
        tool_client=tool_client,
        agent_services=agent_services,
        drain=drain,
        keyring=keyring,
        storage_sync=StorageSync(settings, keyring, limiter, ledger, meter.revocation.check),
        meter=meter,
        body_decoder=body_decoder,
        fetcher=fetcher,
        response_store=ResponseStore(
            settings.response_store_max_items, settings.response_store_max_bytes, settings.response_store_ttl
        ),
        running_responses=RunningResponses(),
        turns=TurnPreparation(policy, turn_client, tool_client, catalogue, fetcher, body_decoder),
        rest_responder=rest.RestResponder(policy, agent_services, body_decoder),
        policy=policy,
        documentation=Documentation(policy, agent_limits),
    )


def build_routes(mcp: McpEndpoint) -> list[ControllerRouterHandler]:
    """Returns the handlers of every address."""
    return [
        openai_chat.router,
        openai_responses.router,
        anthropic.router,
        openai_completions.router,
        rest.router,
        admin.router,
        mcp.route(),
        health.router,
        scrape.router,
        openapi.router,
    ]


def build_route_middleware(settings: Settings, services: Services, hosts: HostPolicy) -> list[DefineMiddleware]:
    """Returns the middleware that knows the request's route, outermost first."""
    return [
        DefineMiddleware(
            AuthMiddleware,
            token=settings.api_secret_token.get_secret_value(),
            allowed_networks=settings.metrics_allow,
            keyring=services.keyring,
            remaining_headers=services.meter.build_rate_limit_headers,
            known_host=hosts.is_known_or_local,
        ),
        DefineMiddleware(AdmissionMiddleware, meter=services.meter),
    ]


def wrap_with_middleware(app: ASGIApp, settings: Settings, tracing: Tracing, metrics: Metrics) -> ASGIApp:
    """Returns the application inside the middleware that sees every request; the last one applied is the outermost."""
    app = PrivateResponsesMiddleware(app)
    app = BodyLimitsMiddleware(app, InflightBodies(settings.max_inflight_body_bytes), settings.read_body_timeout)
    app = HttpMetricsMiddleware(app, metrics)
    app = HttpTraceMiddleware(app, tracing)
    app = RequestContextMiddleware(app)
    return ClientAddressMiddleware(app, settings.trusted_proxies)


def build_host_policy(settings: Settings) -> HostPolicy:
    """Returns the names of this server that browsers may use at /mcp, and requests without a key anywhere."""
    origins = settings.cors_origins or ("*",) if settings.enable_cors else ()
    return HostPolicy(
        frozenset({settings.host, *(name.lower() for name in settings.allowed_hosts)}), frozenset(origins)
    )


def build_cors_config(settings: Settings) -> CORSConfig | None:
    """Returns the cross-origin rules: none unless ENABLE_CORS; never with credentials, since keys travel in a header."""
    if not settings.enable_cors:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins) or ["*"],
        allow_methods=["GET", "POST", "DELETE", "PATCH", "OPTIONS"],
        allow_headers=["*"],
        allow_credentials=False,
        expose_headers=["*", "x-request-id"],
    )


def _provide(service: object) -> Provide:
    return Provide(lambda: service, sync_to_thread=False)
