"""`claude-api-server up`: reads .env, checks, starts the programs, says how to use them, looks after them.

Law: this is the only place that sees all settings; the programs see only their own (`environments`).
"""

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values
from msgspec import Struct
from rich.console import Console

from cli import CannotStart
from cli.up import preflight, readiness, token_file, workspace
from cli.up.banner import Banner, Key
from cli.up.environment import environments, merged, of_tools, warnings
from cli.up.preflight import Address
from cli.up.progress import step
from cli.up.supervisor import Patience, Program, Supervisor
from shared.process import core_dumps, strict_modes

START_TIMEOUT = 60.0
DEFAULT_RUN_DIR = ".run"
DEFAULT_DATA_DIR = ".data"
TOKEN_FILE = "api-token"  # noqa: S105 # its name
ADDRESS_FILE = "api-address"

# -P: a folder named `api` where the server is started is not the server's.
API = (sys.executable, "-P", "-m", "api")
EXECUTOR = (
    sys.executable,
    "-P",
    "-m",
    "executor",
    "--role",
    "claude",
    "--name",
    preflight.SOCKET.removesuffix(".sock"),
)


TOOLS = (
    sys.executable,
    "-P",
    "-m",
    "executor",
    "--role",
    "tools",
    "--name",
    preflight.TOOLS_SOCKET.removesuffix(".sock"),
)


class Plan(Struct, frozen=True):
    """Everything that was decided before the start. folder: where the owner stands. stalled: the watchdog's seconds."""

    folder: Path
    run_dir: Path
    where: Address
    key: Key
    api: Program
    executor: Program
    tools: Program
    stalled: float = Patience().stalled


def read_dotenv(folder: Path) -> dict[str, str | None]:
    """The settings in .env; none when there is no such file. Raises CannotStart."""
    if (folder / ".env").exists() and (problem := strict_modes.find_problem((folder / ".env").absolute())):
        raise CannotStart(f".env is not used, since others could have written it: {problem}")
    try:
        return dotenv_values(folder / ".env", encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise CannotStart(
            f".env can't be read: {error}. It is a text file in UTF-8; .env.example shows one."
        ) from error


def plan(
    environ: Mapping[str, str],
    dotenv: Mapping[str, str | None],
    folder: Path,
    *,
    api: tuple[str, ...] = API,
    executor: tuple[str, ...] = EXECUTOR,
    tools: tuple[str, ...] = TOOLS,
) -> Plan:
    """Check what can be checked now, and decide. Raises CannotStart."""
    given = merged(environ, dotenv)
    run_dir = folder / given.get("RUN_DIR", DEFAULT_RUN_DIR)
    where = preflight.address(given)
    preflight.cli(given)
    preflight.run_dir(run_dir)
    preflight.free(where)
    data = folder / given.get("DATA_DIR", DEFAULT_DATA_DIR)
    # Made before the tools executor looks where secrets are; what is wrong with it the API says.
    with contextlib.suppress(OSError):
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    decided = {"RUN_DIR": str(run_dir), "DATA_DIR": str(data)}
    file = run_dir / TOKEN_FILE
    token_file.write_address(run_dir / ADDRESS_FILE, where)
    if "API_SECRET_TOKEN" in given:
        key = Key("environment" if "API_SECRET_TOKEN" in environ else ".env", file)
    else:
        made = token_file.kept(file)
        key = Key("file", file, made.value if made.made else "")
        decided["API_SECRET_TOKEN"] = made.value
    if "ALLOWED_PATHS" not in given:
        decided["ALLOWED_PATHS"] = str(workspace.made(folder))
    api_environment, executor_environment = environments({**environ, **decided}, dotenv)
    return Plan(
        folder,
        run_dir,
        where,
        key,
        Program("API", api, api_environment),
        Program("executor", executor, executor_environment),
        Program("tools executor", tools, of_tools({**environ, **decided}, dotenv)),
        preflight.watchdog(given),
    )


def commands(executable: str) -> Path:
    """The folder of the commands that belong to this Python; in a checkout, by the link that people know."""
    folder = Path(executable).parent
    link = folder.parent.parent.parent / ".venv/bin"
    return link if folder.parent.parent.name == ".venvs" and link.exists() else folder


async def serve(decided: Plan, console: Console, errors: Console) -> int:
    """Start the programs and look after them; the exit status."""

    async def until_ready() -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT):
                async with step(console, "Starting the executor …"):
                    await readiness.accepting(decided.run_dir / preflight.SOCKET)
                async with step(console, "Starting the API and Claude Code …"):
                    health = await readiness.healthy(decided.where)
                async with step(console, "Trying the sandbox of the tools …"):
                    tools = await readiness.tools(decided.run_dir / preflight.TOOLS_SOCKET)
        except TimeoutError as error:
            raise CannotStart(
                f"Not ready after {START_TIMEOUT:g} s{await readiness.problems(decided.where)}. The lines above may say "
                "why; LOG_LEVEL=debug make run says more."
            ) from error
        Banner(decided.where, health, decided.key, decided.folder, commands(sys.executable), tools).show(console)

    def say(words: str) -> None:
        errors.print(words, style="yellow", soft_wrap=True)

    patience = Patience(stalled=decided.stalled)
    return await Supervisor(decided.executor, decided.api, say, patience, decided.tools).run(until_ready)


def up(
    environ: Mapping[str, str],
    folder: Path,
    *,
    api: tuple[str, ...] = API,
    executor: tuple[str, ...] = EXECUTOR,
    tools: tuple[str, ...] = TOOLS,
) -> int:
    """Run the server until it is asked to end; the exit status."""
    # It has every secret in its environment.
    core_dumps.disable()
    core_dumps.hide_memory()
    console = Console(highlight=False, markup=False, emoji=False)
    errors = Console(highlight=False, markup=False, emoji=False, stderr=True)
    try:
        dotenv = read_dotenv(folder)
        for warning in warnings(dotenv):
            errors.print(warning, style="yellow", soft_wrap=True)
        decided = plan(environ, dotenv, folder, api=api, executor=executor, tools=tools)
    except CannotStart as problem:
        errors.print(str(problem), style="red", soft_wrap=True)
        return 1
    return asyncio.run(serve(decided, console, errors))
