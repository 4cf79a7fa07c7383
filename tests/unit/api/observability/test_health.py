"""How the server says it is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from msgspec import UNSET

from api.core.request_state import PRINCIPAL
from api.executors.pool import ExecutorPool
from api.executors.tool_client import ToolClient
from api.http.drain import Drain
from api.models.catalogue import Catalogue
from api.observability.health import (
    ExecutorHealth,
    build_executor_health,
    build_health,
    get_health,
    get_live,
    get_ready,
    router,
)
from shared.claude_status import ClaudeStatus
from shared.tool_jobs import ToolsStatus
from tests.support.meter import build_meter

NO_HANDS = ToolClient(ExecutorPool(Path("/nonexistent"), "tools"), Drain(0), 1, build_meter(Path("/nonexistent")))
UP = ClaudeStatus(
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
)
TOOLS = ToolsStatus(("/srv/files",), (), ("ls",), max_concurrent=4, running=0, waiting=0, draining=False)
STARTING = msgspec.structs.replace(UP, cli_version="", idle_processes=0, running=0, waiting=0, problem="starting")
NO_CLI = msgspec.structs.replace(STARTING, cli_found=False, problem="the Claude Code CLI was not found")
DRAINING = msgspec.structs.replace(UP, draining=True)
OFFLINE = msgspec.structs.replace(UP, mode="offline", credential="none")


class Told(ExecutorPool):
    """Executors that say what they are told to."""

    def __init__(self, **said: ClaudeStatus | None) -> None:
        super().__init__(Path("/nowhere"), "claude")
        self.said = said

    async def fetch_statuses(self) -> dict[str, ClaudeStatus | None]:
        return dict(self.said)


def test_an_executor_that_answers_and_has_a_cli_is_up() -> None:
    """Each number is its own."""
    assert build_executor_health("claude-1", UP) == ExecutorHealth(
        name="claude-1", up=True, problem="", max_concurrent=4, running=3, max_queue=32, waiting=1, idle_processes=2
    )


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (None, "It does not answer; its log says why."),
        (STARTING, "starting"),
        (NO_CLI, "the Claude Code CLI was not found"),
        (DRAINING, ""),
    ],
)
def test_an_executor_that_could_not_take_a_job_is_not_up(status: ClaudeStatus | None, problem: str) -> None:
    """And says what to do, where there is something to do."""
    said = build_executor_health("claude-1", status)
    assert not said.up
    assert said.problem == problem


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ([UP], "ok"),
        ([UP, UP], "ok"),
        ([UP, None], "degraded"),
        ([UP, STARTING], "degraded"),
        ([DRAINING, UP], "degraded"),
        ([None], "down"),
        ([STARTING, NO_CLI], "down"),
        ([DRAINING], "down"),
        ([], "down"),
    ],
)
def test_the_whole_is_as_well_as_its_executors(statuses: list[ClaudeStatus | None], state: str) -> None:
    """All up: ok; some: degraded; none: down. When the API itself drains, that is what it says."""
    said: dict[str, ClaudeStatus | None] = {f"claude-{number}": status for number, status in enumerate(statuses)}
    assert build_health(said, "sonnet", draining=False).status == state
    assert build_health(said, "sonnet", draining=True).status == "draining"


@pytest.mark.parametrize(
    ("of_tools", "state", "has_words"),
    [
        ([], "ok", False),
        ([TOOLS], "ok", False),
        ([None], "degraded", True),
        ([TOOLS, None], "degraded", True),
        ([msgspec.structs.replace(TOOLS, problem="the sandbox does not hold: use a newer kernel")], "degraded", True),
        ([msgspec.structs.replace(TOOLS, missing=("it can't be mounted without exec: allow it",))], "ok", True),
        ([msgspec.structs.replace(TOOLS, draining=True)], "degraded", False),
    ],
)
@pytest.mark.parametrize("has_key", [True, False])
def test_a_tools_executor_that_is_not_whole_degrades_the_whole(
    of_tools: list[ToolsStatus | None], state: str, *, has_words: bool, has_key: bool
) -> None:
    """And says what to do: with a key in its own words, without one where to ask. Chats are ready all the same."""
    told = {f"tools-{number}": status for number, status in enumerate(of_tools)}
    for up, draining, expected in (([UP], False, state), ([None], False, "down"), ([UP], True, "draining")):
        said: dict[str, ClaudeStatus | None] = {f"claude-{number}": status for number, status in enumerate(up)}
        found = build_health(
            said, "sonnet", draining=draining, tools_statuses=told, has_key=has_key, sees_paths=has_key
        )
        assert found.status == expected
        words = [word for each in found.tools for word in (each.problem, *(each.missing or ())) if word]
        assert bool(words) == has_words
        for status in filter(None, of_tools):
            own = {status.problem, *status.missing} - {""}
            assert (own <= set(words)) == (has_key or not own)


def test_what_the_clis_sandbox_lacks_is_for_those_with_a_key() -> None:
    """It degrades nothing: an older kernel is no fault."""
    lacking = msgspec.structs.replace(UP, missing=("signals are denied altogether",))
    for has_key, missing in ((True, lacking.missing), (False, UNSET)):
        found = build_health({"claude-1": lacking}, "sonnet", draining=False, has_key=has_key)
        assert (found.status, found.executors[0].missing) == ("ok", missing)


@pytest.mark.parametrize(
    ("statuses", "mode"),
    [
        ([UP], "online"),
        ([OFFLINE], "offline"),
        ([UP, OFFLINE], "offline"),
        ([None, UP], "online"),
        ([None], "unknown"),
        ([], "unknown"),
    ],
)
def test_offline_is_never_hidden_by_an_executor_that_is_online(statuses: list[ClaudeStatus | None], mode: str) -> None:
    """A client might get either."""
    said: dict[str, ClaudeStatus | None] = {f"claude-{number}": status for number, status in enumerate(statuses)}
    assert build_health(said, "sonnet", draining=False).mode == mode


def test_the_places_are_those_of_the_executors_that_are_up() -> None:
    """What is down takes no job."""
    said: dict[str, ClaudeStatus | None] = {"claude-1": UP, "claude-2": UP, "claude-3": STARTING, "claude-4": None}
    assert build_health(said, "sonnet", draining=False).max_concurrent == 8


def test_the_cli_is_known_if_any_executor_knows_it() -> None:
    """A version comes from one that has it; a server that does not know says so."""
    known = build_health({"claude-1": None, "claude-2": NO_CLI, "claude-3": UP}, "sonnet", draining=False)
    assert (known.claude_cli_found, known.cli_version) == (True, "2.1.330")
    unknown = build_health({"claude-1": None, "claude-2": NO_CLI}, "sonnet", draining=False)
    assert (unknown.claude_cli_found, unknown.cli_version) == (False, "")


def test_health_names_no_credential() -> None:
    """Who has no key sees it; what kind of account is behind the server is not theirs to know."""
    said = msgspec.json.encode(build_health({"claude-1": UP}, "sonnet", draining=False)).decode()
    assert "oauth" not in said
    assert "credential" not in said


async def test_health_is_the_executors_now_and_the_default_model() -> None:
    """It answers 200 whatever it has to say."""
    request = cast("Any", SimpleNamespace(scope={"state": {PRINCIPAL: None}}))
    for executors, drain in ((Told(), Drain(1)), (Told(**{"claude-1": UP}), Drain(1))):
        response = await get_health.fn(
            request,
            claude_executors=executors,
            tool_client=NO_HANDS,
            catalogue=Catalogue(executors.fetch_statuses, "mine", {}),
            drain=drain,
            storage_sync=cast("Any", SimpleNamespace(problems=[])),
        )
        assert response.status_code in {None, 200}
        assert response.content == build_health(await executors.fetch_statuses(), "mine", draining=False)


@pytest.mark.parametrize(
    ("status", "draining", "answer"),
    [
        (UP, False, (200, "ready")),
        (STARTING, False, (503, "down")),
        (None, False, (503, "down")),
        (UP, True, (503, "draining")),
    ],
)
async def test_ready_means_that_a_chat_would_be_answered(
    status: ClaudeStatus | None,
    draining: bool,  # noqa: FBT001
    answer: tuple[int, str],
) -> None:
    """A load balancer sends work elsewhere on anything but 200."""
    drain = Drain(1)
    drain.is_draining = draining
    response = await get_ready.fn(Told(**{"claude-1": status}), drain)
    assert (response.status_code, response.content.status) == answer


async def test_a_degraded_server_is_ready() -> None:
    """It answers, if with fewer places."""
    response = await get_ready.fn(Told(**{"claude-1": UP, "claude-2": None}), Drain(1))
    assert response.status_code == 200


async def test_live_asks_nobody() -> None:
    """That this process answers is all it says."""
    assert (await get_live.fn()).content.status == "live"


def test_all_of_health_is_open_to_everyone() -> None:
    """Supervisors and load balancers have no key."""
    handlers = [get_health, get_live, get_ready]
    assert router.routes
    assert [handler.opt["public"] for handler in handlers] == [True] * 3
