"""What every test may ask for.

The real programs take seconds to start, so tests that leave them whole share them: each gets the scripted service with
an empty record and the usual script, and leaves no job behind.
"""

from collections.abc import AsyncGenerator

import pytest

from tests.support.scripted.upstream import AnswerReply, Upstream
from tests.support.stack import Stack

OAUTH_TOKEN = "sk-ant-oat01-invented"
# What executors have for each launch of the CLI.
LAUNCHES = {"keyed": {"ANTHROPIC_API_KEY": "sk-ant-invented"}, "subscribed": {"CLAUDE_CODE_OAUTH_TOKEN": OAUTH_TOKEN}}
USUAL = AnswerReply(("Hello", " world", "!"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts files with slow tests first: a worker takes file by file, and the last ones should be short."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Asyncio, as in production."""
    return ("asyncio", {"use_uvloop": False})


@pytest.fixture(scope="session")
async def shared_upstream() -> AsyncGenerator[Upstream]:
    """The scripted service behind the shared programs."""
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
async def shared_stack(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with an API key."""
    async with Stack(shared_upstream.url) as stack:
        yield stack


@pytest.fixture(scope="session")
async def shared_subscribed(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with a subscription's token."""
    async with Stack(shared_upstream.url, credential=LAUNCHES["subscribed"]) as stack:
        yield stack


@pytest.fixture(scope="session")
async def shared_narrow(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with one place and one place to wait."""
    settings = {"MAX_CONCURRENT": "1", "MAX_QUEUE": "1"}
    async with Stack(shared_upstream.url, settings=settings) as stack:
        yield stack


@pytest.fixture(scope="session")
async def api_alone() -> AsyncGenerator[Stack]:
    """An API without executors: its jobs fail at once, which is enough for keys and limits. Tests name their keys apart."""
    async with Stack(None, executors=0) as stack:
        yield stack


@pytest.fixture
async def upstream(shared_upstream: Upstream) -> AsyncGenerator[Upstream]:
    """The scripted service, as if new."""
    shared_upstream.script(USUAL)
    shared_upstream.disable_rules()
    shared_upstream.requests.clear()
    shared_upstream.others.clear()
    shared_upstream.refused.clear()
    shared_upstream.hangups = 0
    yield shared_upstream
    await shared_upstream.wait_until(lambda: shared_upstream.answering == 0)
    faults, shared_upstream._faults = shared_upstream._faults, []
    if faults:
        raise ExceptionGroup("the script, or what was sent to it", faults)


@pytest.fixture
async def keyed(shared_stack: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """The API and one executor, over the real CLI and `upstream`; an API key is the credential."""
    yield shared_stack
    await shared_stack.wait_until_quiet()


@pytest.fixture
def stack(keyed: Stack) -> Stack:
    """Where the credential makes no difference. Modules about what the model receives override it with `either`."""
    return keyed


@pytest.fixture
async def subscribed(shared_subscribed: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """As `stack`, with a subscription's token, with which the CLI says more of its own."""
    yield shared_subscribed
    await shared_subscribed.wait_until_quiet()


@pytest.fixture
async def narrow(shared_narrow: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """As `stack`, with one place and one place to wait."""
    yield shared_narrow
    await shared_narrow.wait_until_quiet()


@pytest.fixture(scope="session")
async def shared_handy(shared_upstream: Upstream) -> AsyncGenerator[Stack]:
    """Programs with a tools executor too."""
    async with Stack(shared_upstream.url, tools={}) as stack:
        yield stack


@pytest.fixture
async def handy(shared_handy: Stack, upstream: Upstream) -> AsyncGenerator[Stack]:
    """As `stack`, with files and commands."""
    yield shared_handy
    await shared_handy.wait_until_quiet()


@pytest.fixture(params=["keyed", "subscribed"])
def either(request: pytest.FixtureRequest) -> Stack:
    """Both launches of the CLI: `keyed`, and again with `subscribed`."""
    return request.getfixturevalue(request.param)
