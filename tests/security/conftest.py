"""The executors that are attacked: started as root and as an ordinary user, and, to compare, without some defences."""

import contextlib
import os
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.security.attack import PYTHON
from tests.security.machine import OF_32_BITS, caller
from tests.support.tools import ToolsProgram
from tests.support.worker import ORDINARY_UID

WIDE = "ls,cat,head,find,echo,pwd,sort,wc,cp,env,xargs,dd,sleep,chmod,mkfifo,ln,mkdir,bash,yes,true,sed,git,truncate"
# The library of the attacker's Python, which would not run without it.
LIBRARIES = tuple(str(path) for path in Path("/usr/lib").glob("python3*") if path.is_dir())

type Unfenced = Callable[[tuple[str, ...]], Awaitable[ToolsProgram]]


def attacked(*, ordinary: bool, without: tuple[str, ...] = ()) -> ToolsProgram:
    """An executor with every command that an attacker could wish for."""
    settings = {
        "ALLOWED_COMMANDS": ",".join([*(name for name in WIDE.split(",") if shutil.which(name)), PYTHON]),
        "COMMAND_MEMORY_MB": "512",
        "COMMAND_PROCESSES": "30",
        "COMMAND_FILE_MB": "8",
        "COMMAND_DISK_MB": "64",
        "COMMAND_NEW_FILES": "2000",
        "OUTPUT_LIMIT_KB": "64",
        "READ_LIMIT_MB": "1",
    }
    return ToolsProgram(
        settings,
        readable=LIBRARIES,
        uid=ORDINARY_UID if ordinary and os.getuid() == 0 else 0,
        programs={"syscaller": caller(), "syscaller32": caller(OF_32_BITS)},
        without=without,
    )


@pytest.fixture(scope="session", params=["as root", "as an ordinary user"])
async def tools(request: pytest.FixtureRequest) -> AsyncGenerator[ToolsProgram]:
    """The real one, with all its defences."""
    ordinary = request.param == "as an ordinary user"
    if not ordinary and os.getuid() != 0:
        pytest.skip("this test run is not root, so it can't start one as root")
    async with attacked(ordinary=ordinary) as started:
        (started.root / "a.txt").write_text("hello\n")
        (started.root / "link").symlink_to(started.outside / "secret.txt")
        (started.root / "linked").symlink_to(started.outside)
        assert (await started.fetch_status()).problem == ""
        yield started


@pytest.fixture(scope="session")
async def unfenced() -> AsyncGenerator[Unfenced]:
    """One as it would be without these defences; each is started once."""
    started: dict[tuple[str, ...], ToolsProgram] = {}
    async with contextlib.AsyncExitStack() as stack:

        async def of(down: tuple[str, ...]) -> ToolsProgram:
            if down not in started:
                tools = await stack.enter_async_context(attacked(ordinary=True, without=down))
                (tools.root / "a.txt").write_text("hello\n")
                started[down] = tools
            return started[down]

        yield of
