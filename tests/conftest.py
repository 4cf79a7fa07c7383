"""Fixtures for all tests.

Starting the real programs takes seconds, so tests that do not damage them share them. Each test gets the scripted
service with an empty record and the default script, and must leave no job behind.
"""

from collections.abc import AsyncGenerator

import pytest

from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack

OAUTH_TOKEN = "sk-ant-oat01-invented"
# The environment variables of an executor, for each kind of credential.
CREDENTIALS = {
    "api_key": {"ANTHROPIC_API_KEY": "sk-ant-invented"},
    "subscription": {"CLAUDE_CODE_OAUTH_TOKEN": OAUTH_TOKEN},
}
DEFAULT_REPLY = AnswerReply(("Hello", " world", "!"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files with slow tests first: each worker takes one file after another, and the last files should be short."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Asyncio, as in production."""
    return ("asyncio", {"use_uvloop": False})


@pytest.fixture(scope="session")
async def shared_upstream() -> AsyncGenerator[Upstream]:
    """The scripted service that the shared programs call."""
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
async def shared_stack(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with an API key."""
    async with Stack(shared_upstream.url) as stack:
        yield stack


@pytest.fixture(scope="session")
async def shared_subscription_stack(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with a subscription token."""
    async with Stack(shared_upstream.url, credential=CREDENTIALS["subscription"]) as stack:
        yield stack


@pytest.fixture(scope="session")
async def shared_single_slot_stack(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with one job slot and one queue slot."""
    settings = {"MAX_CONCURRENT": "1", "MAX_QUEUE": "1"}
    async with Stack(shared_upstream.url, settings=settings) as stack:
        yield stack


@pytest.fixture(scope="session")
async def api_without_executors() -> AsyncGenerator[Stack]:
    """An API without executors: its jobs fail at once, which is enough for tests of keys and limits.

    Tests share its database, so each uses key names of its own.
    """
    async with Stack(None, executors=0) as stack:
        yield stack


@pytest.fixture
async def upstream(shared_upstream: Upstream) -> AsyncGenerator[Upstream]:
    """The scripted service, reset."""
    shared_upstream.script(DEFAULT_REPLY)
    shared_upstream.disable_rules()
    shared_upstream.requests.clear()
    shared_upstream.others.clear()
    shared_upstream.refused.clear()
    shared_upstream.hangups = 0
    yield shared_upstream
    await shared_upstream.wait_until(lambda: shared_upstream.answering == 0)
    faults, shared_upstream._faults = shared_upstream._faults, []
    if faults:
        raise ExceptionGroup("faults of the script or of requests to it", faults)


@pytest.fixture
async def api_key_stack(shared_stack: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """The API and one executor with an API key, with the real CLI and `upstream`."""
    yield shared_stack
    await shared_stack.wait_until_quiet()


@pytest.fixture
def stack(api_key_stack: Stack) -> Stack:
    """For tests where the credential makes no difference.

    Modules that check what the model receives override it with `each_credential_stack`.
    """
    return api_key_stack


@pytest.fixture
async def subscription_stack(shared_subscription_stack: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """As `stack`, with a subscription token; the CLI then adds more text of its own to requests."""
    yield shared_subscription_stack
    await shared_subscription_stack.wait_until_quiet()


@pytest.fixture
async def single_slot_stack(shared_single_slot_stack: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """As `stack`, with one job slot and one queue slot."""
    yield shared_single_slot_stack
    await shared_single_slot_stack.wait_until_quiet()


@pytest.fixture(scope="session")
async def shared_tools_stack(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with a tools executor."""
    async with Stack(shared_upstream.url, tools={}) as stack:
        yield stack


@pytest.fixture
async def tools_stack(shared_tools_stack: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """As `stack`, with a tools executor."""
    yield shared_tools_stack
    await shared_tools_stack.wait_until_quiet()


@pytest.fixture(params=["api_key_stack", "subscription_stack"], ids=tuple(CREDENTIALS))
def each_credential_stack(request: pytest.FixtureRequest) -> Stack:
    """`api_key_stack`, then `subscription_stack`."""
    return request.getfixturevalue(request.param)
