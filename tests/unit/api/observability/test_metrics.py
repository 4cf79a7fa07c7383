"""What is counted, without sockets: each number from its event, and no label that a client can blow up."""

import ipaddress
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import AsyncTestClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from api.app import create_app
from api.core.caller import Caller
from api.core.dialect_names import find_dialect
from api.http.drain import Drain
from api.observability.job_metrics import JobMetrics
from api.observability.metrics import FAMILIES, MAX_LABEL_VALUES, OTHER, Metrics
from api.observability.scrape import build_executor_metrics
from api.settings import Settings
from shared.claude_status import ClaudeStatus
from shared.errors import ErrorKind
from shared.events import Admitted, Done, Event, Failed, Started, TextDelta, Usage, UsageWindow, UsageWindows
from shared.tool_jobs import ToolsStatus
from shared.turn import Turn

KEY = "sk-tests-0f1e2d3c4b5a6978"
CALLER = Caller("req_1", key_name="ci", dialect="chat")
CLAUDE = ClaudeStatus(
    role="claude",
    mode="online",
    credential="oauth_token",
    cli_found=True,
    cli_version="2.1.330",
    max_concurrent=4,
    max_queue=32,
    running=3,
    waiting=1,
    idle_processes=2,
    draining=False,
    windows=UsageWindows("allowed", (UsageWindow("five_hour", 0.25, 1_800_000_000), UsageWindow("seven_day"))),
    cli_starts=9,
    cli_ready=5,
    cli_ready_seconds=2.5,
)
TOOLS = ToolsStatus(("/work",), (), ("ls",), 4, 1, 2, draining=False, jobs_done=7, refusals={"path": 3}, max_queue=128)

type Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def series(exposition: bytes) -> Series:
    """Each series' value."""
    families = text_string_to_metric_families(exposition.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return series(metrics.render())[f"claude_api_{name}", frozenset(labels.items())]


def watched(*events: tuple[float, Event], caller: Caller = CALLER, model: str = "sonnet", end: float = 9) -> Metrics:
    """What is counted of a job that begins at 0 and whose events come at these times."""
    now = 0.0
    metrics = Metrics()
    watch = JobMetrics(metrics, Turn(model=model, messages=()), caller, lambda: now)
    for at, event in events:
        now = at
        watch.record_event(event)
    now = end
    watch.end()
    return metrics


def test_a_job_s_times_and_tokens_are_told():
    """From its begin to its place, to its first words, between its words, to its end."""
    metrics = watched(
        (1, Admitted(pooled=True, offline=False)),
        (2, Started("claude-sonnet-5")),
        (3, TextDelta("a")),
        (5, TextDelta("b")),
        (6, Done("end_turn", Usage(input_tokens=10, output_tokens=4, reasoning_tokens=1), cost_usd=0.5)),
        end=7,
    )
    job = {"dialect": "chat", "model": "claude-sonnet-5"}
    assert value(metrics, "job_queue_seconds_sum", dialect="chat") == 1
    assert value(metrics, "job_first_token_seconds_sum", **job) == 3
    assert value(metrics, "job_between_tokens_seconds_sum", model="claude-sonnet-5") == 2
    assert value(metrics, "job_between_tokens_seconds_count", model="claude-sonnet-5") == 1
    assert value(metrics, "job_seconds_sum", **job) == 7
    assert value(metrics, "jobs_total", outcome="succeeded", **job) == 1
    assert value(metrics, "jobs_admitted_total", pooled="yes") == 1
    assert value(metrics, "jobs_in_progress", dialect="chat") == 0
    assert value(metrics, "tokens_total", model="claude-sonnet-5", key="ci", kind="input") == 10
    assert value(metrics, "tokens_total", model="claude-sonnet-5", key="ci", kind="reasoning") == 1
    assert value(metrics, "cost_usd_total", model="claude-sonnet-5", key="ci") == 0.5


def test_a_job_that_fails_has_its_kind_and_one_that_is_left_is_cancelled():
    """A refusal that the caller has to fix does not count as a failure of the server."""
    failed = watched((1, Failed(ErrorKind.QUEUE_FULL)))
    assert value(failed, "job_errors_total", dialect="chat", kind="queue_full") == 1
    assert value(failed, "jobs_total", dialect="chat", model=OTHER, outcome="failed") == 1
    refused = watched((1, Failed(ErrorKind.KEY_BUDGET)))
    assert value(refused, "job_errors_total", dialect="chat", kind="key_budget") == 1
    assert value(refused, "jobs_total", dialect="chat", model=OTHER, outcome="refused") == 1
    left = watched((1, Started("claude-sonnet-5")), (2, TextDelta("a")))
    assert value(left, "jobs_total", dialect="chat", model="claude-sonnet-5", outcome="client_disconnected") == 1


def test_a_model_that_never_answered_makes_no_series_of_its_own():
    """A client may ask for `claude-` and anything; it is `other`."""
    metrics = watched((1, Failed(ErrorKind.INTERNAL)), model="claude-made-up-by-a-client")
    assert b"made-up" not in metrics.render()


def test_a_label_has_so_many_values_and_no_more():
    """What is beyond is `other`; what was there before stays what it is."""
    metrics = Metrics()
    given = [metrics.limit_label("key", f"key-{number}") for number in range(MAX_LABEL_VALUES + 5)]
    assert given[:MAX_LABEL_VALUES] == [f"key-{number}" for number in range(MAX_LABEL_VALUES)]
    assert set(given[MAX_LABEL_VALUES:]) == {OTHER}
    assert metrics.limit_label("key", "key-0") == "key-0"
    refusals = {f"reason-{number:03}": 1 for number in range(MAX_LABEL_VALUES + 7)}
    many = ToolsStatus((), (), (), 1, 0, 0, draining=False, refusals=refusals)
    found = series(metrics.render(build_executor_metrics({"tools-1": many})))
    counted = {key: value for key, value in found.items() if key[0] == "claude_api_executor_tool_refusals_total"}
    assert len(counted) == MAX_LABEL_VALUES + 1
    assert sum(counted.values()) == MAX_LABEL_VALUES + 7


def test_executors_of_both_roles_tell_of_themselves_and_a_lost_one_is_down():
    """Each number is its own."""
    found = series(Metrics().render(build_executor_metrics({"claude-1": CLAUDE, "claude-2": None, "tools-1": TOOLS})))

    def of(executor: str, name: str, **labels: str) -> float:
        return found[f"claude_api_{name}", frozenset({"executor": executor, **labels}.items())]

    assert [of(name, "executor_up") for name in ("claude-1", "claude-2", "tools-1")] == [1, 0, 1]
    assert [of("claude-1", f"executor_{name}") for name in ("capacity", "queue_capacity", "running", "waiting")] == [
        4,
        32,
        3,
        1,
    ]
    assert of("claude-1", "executor_idle_processes") == 2
    assert of("claude-1", "executor_cli_starts_total") == 9
    assert of("claude-1", "executor_cli_ready_total") == 5
    assert of("claude-1", "executor_cli_ready_seconds_total") == 2.5
    assert of("claude-1", "executor_info", role="claude", mode="online", cli_version="2.1.330") == 1
    assert of("claude-1", "window_utilization_ratio", window="five_hour") == 0.25
    assert of("claude-1", "window_reset_timestamp_seconds", window="five_hour") == 1_800_000_000
    assert not any(("window", "seven_day") in labels for _, labels in found)
    assert of("tools-1", "executor_tool_jobs_total") == 7
    assert of("tools-1", "executor_tool_refusals_total", reason="path") == 3
    assert of("tools-1", "executor_draining") == 0
    assert of("tools-1", "executor_waiting") == 2
    assert of("tools-1", "executor_queue_capacity") == 128


def test_every_family_can_be_exposed_under_its_name():
    """And no series of birthdays doubles what Prometheus keeps."""
    exposition = Metrics().render(build_executor_metrics({"claude-1": CLAUDE, "tools-1": TOOLS})).decode()
    for family in FAMILIES.values():
        assert f"# HELP {family.exposed_name} {family.help}\n" in exposition
        assert f"# TYPE {family.exposed_name} {family.kind}\n" in exposition
    watched_job = watched((1, Started("m")), (2, TextDelta("a"))).render()
    assert b"_created" not in watched_job


@pytest.mark.parametrize(
    ("route", "dialect"),
    [
        ("/v1/chat/completions", "chat"),
        ("/v1/completions", "completions"),
        ("/v1/messages/count_tokens", "messages"),
        ("/v1/responses", "responses"),
        ("/api/tools/bash", "rest"),
        ("/mcp", "mcp"),
        ("/health", "none"),
    ],
)
def test_a_route_speaks_a_dialect(route: str, dialect: str):
    """By the beginning of its address."""
    assert find_dialect(route) == dialect


def settings(folder: Path, **fields: Any) -> Settings:
    return Settings.model_validate({"api_secret_token": KEY, "run_dir": folder, **fields})


async def test_requests_are_counted_by_route_and_made_up_addresses_are_one_series(tmp_path: Path):
    """Whatever is asked for."""
    async with AsyncTestClient(create_app(settings(tmp_path), Drain(1))) as client:
        client.headers.update({"authorization": f"Bearer {KEY}"})
        for path in ("/health/live", "/nowhere/1", "/nowhere/2", "/v1/models/one", "/v1/models/two"):
            await client.get(path)
        response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    counted = {
        tuple(dict(labels)[name] for name in ("method", "route", "status")): value
        for (name, labels), value in series(response.content).items()
        if name == "claude_api_http_requests_total"
    }
    assert counted.pop(("GET", "/health/live", "200")) == 1
    assert counted.pop(("GET", "unmatched", "404")) == 2
    [((_, route, status), times)] = counted.items()
    assert (route.startswith("/v1/models/{"), status, times) == (True, "404", 2)


@pytest.mark.parametrize(
    ("allowed", "key", "status"),
    [("", "", 401), ("", KEY, 200), ("10.0.0.0/8", "", 401), ("127.0.0.1,10.0.0.0/8", "", 200)],
)
async def test_numbers_need_the_key_or_an_address_that_was_allowed(tmp_path: Path, allowed: str, key: str, status: int):
    """And an address that is allowed opens nothing else."""
    given = settings(tmp_path, metrics_allow=allowed)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    app = create_app(given, Drain(1))

    async def from_loopback(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["client"] = ("127.0.0.1", 4000)
        await app(scope, receive, send)

    async with AsyncTestClient(from_loopback) as client:
        assert (await client.get("/metrics", headers=headers)).status_code == status
        assert (await client.get("/v1/models", headers=headers)).status_code == (200 if key else 401)


def test_an_invalid_list_is_refused_with_the_fix(tmp_path: Path):
    """A host's name is no address."""
    assert settings(tmp_path, metrics_allow="::1").metrics_allow == (ipaddress.ip_network("::1"),)
    with pytest.raises(ValidationError, match="list addresses and networks, such as"):
        settings(tmp_path, metrics_allow="prometheus.example")
