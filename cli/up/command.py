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

from cli import StartupError
from cli.up import preflight, readiness, token_file, workspace
from cli.up.banner import Banner, ClientKey
from cli.up.environment import build_environments, build_tools_environment, list_unknown_settings, merge_settings
from cli.up.preflight import Address
from cli.up.progress import show_step
from cli.up.supervisor import Program, Supervisor, SupervisorTimeouts
from shared.process import core_dumps, strict_modes

START_TIMEOUT = 60.0
DEFAULT_RUN_DIR = ".run"
DEFAULT_DATA_DIR = ".data"
TOKEN_FILE = "api-token"  # noqa: S105 # its name
ADDRESS_FILE = "api-address"

# -P: a folder named `api` where the server is started is not the server's.
API_COMMAND = (sys.executable, "-P", "-m", "api")
EXECUTOR_COMMAND = (
    sys.executable,
    "-P",
    "-m",
    "executor",
    "--role",
    "claude",
    "--name",
    preflight.CLAUDE_SOCKET.removesuffix(".sock"),
)


TOOLS_COMMAND = (
    sys.executable,
    "-P",
    "-m",
    "executor",
    "--role",
    "tools",
    "--name",
    preflight.TOOLS_SOCKET.removesuffix(".sock"),
)


class StartPlan(Struct, frozen=True):
    """Everything that was decided before the start. folder: where the owner stands. stalled: the watchdog's seconds."""

    folder: Path
    run_dir: Path
    address: Address
    key: ClientKey
    api: Program
    executor: Program
    tools: Program
    watchdog_timeout: float = SupervisorTimeouts().stall_timeout


def read_dotenv(folder: Path) -> dict[str, str | None]:
    """The settings in .env; none when there is no such file. Raises CannotStart."""
    if (folder / ".env").exists() and (problem := strict_modes.find_problem((folder / ".env").absolute())):
        raise StartupError(f".env is not used, since others could have written it: {problem}")
    try:
        return dotenv_values(folder / ".env", encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise StartupError(
            f".env can't be read: {error}. It is a text file in UTF-8; .env.example shows one."
        ) from error


def build_plan(
    environ: Mapping[str, str],
    dotenv: Mapping[str, str | None],
    folder: Path,
    *,
    api: tuple[str, ...] = API_COMMAND,
    executor: tuple[str, ...] = EXECUTOR_COMMAND,
    tools: tuple[str, ...] = TOOLS_COMMAND,
) -> StartPlan:
    """Check what can be checked now, and decide. Raises CannotStart."""
    given = merge_settings(environ, dotenv)
    run_dir = folder / given.get("RUN_DIR", DEFAULT_RUN_DIR)
    where = preflight.parse_address(given)
    preflight.check_cli_path(given)
    preflight.prepare_run_dir(run_dir)
    preflight.check_port_free(where)
    data = folder / given.get("DATA_DIR", DEFAULT_DATA_DIR)
    # Made before the tools executor looks where secrets are; what is wrong with it the API says.
    with contextlib.suppress(OSError):
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    decided = {"RUN_DIR": str(run_dir), "DATA_DIR": str(data)}
    file = run_dir / TOKEN_FILE
    token_file.write_address(run_dir / ADDRESS_FILE, where)
    if "API_SECRET_TOKEN" in given:
        key = ClientKey("environment" if "API_SECRET_TOKEN" in environ else ".env", file)
    else:
        made = token_file.load_or_create_token(file)
        key = ClientKey("file", file, made.value if made.is_new else "")
        decided["API_SECRET_TOKEN"] = made.value
    if "ALLOWED_PATHS" not in given:
        decided["ALLOWED_PATHS"] = str(workspace.create_workspace(folder))
    api_environment, executor_environment = build_environments({**environ, **decided}, dotenv)
    return StartPlan(
        folder,
        run_dir,
        where,
        key,
        Program("API", api, api_environment),
        Program("executor", executor, executor_environment),
        Program("tools executor", tools, build_tools_environment({**environ, **decided}, dotenv)),
        preflight.parse_watchdog_timeout(given),
    )


def find_command_folder(executable: str) -> Path:
    """The folder of the commands that belong to this Python; in a checkout, by the link that people know."""
    folder = Path(executable).parent
    link = folder.parent.parent.parent / ".venv/bin"
    return link if folder.parent.parent.name == ".venvs" and link.exists() else folder


async def serve(decided: StartPlan, console: Console, errors: Console) -> int:
    """Start the programs and look after them; the exit status."""

    async def until_ready() -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT):
                async with show_step(console, "Starting the executor …"):
                    await readiness.wait_until_accepting(decided.run_dir / preflight.CLAUDE_SOCKET)
                async with show_step(console, "Starting the API and Claude Code …"):
                    health = await readiness.wait_until_healthy(decided.address)
                async with show_step(console, "Trying the sandbox of the tools …"):
                    tools = await readiness.wait_for_tools(decided.run_dir / preflight.TOOLS_SOCKET)
        except TimeoutError as error:
            raise StartupError(
                f"Not ready after {START_TIMEOUT:g} s{await readiness.fetch_problems(decided.address)}. The lines above may say "
                "why; LOG_LEVEL=debug make run says more."
            ) from error
        Banner(decided.address, health, decided.key, decided.folder, find_command_folder(sys.executable), tools).show(
            console
        )

    def say(words: str) -> None:
        errors.print(words, style="yellow", soft_wrap=True)

    patience = SupervisorTimeouts(stall_timeout=decided.watchdog_timeout)
    return await Supervisor(decided.executor, decided.api, say, patience, decided.tools).run(until_ready)


def up(
    environ: Mapping[str, str],
    folder: Path,
    *,
    api: tuple[str, ...] = API_COMMAND,
    executor: tuple[str, ...] = EXECUTOR_COMMAND,
    tools: tuple[str, ...] = TOOLS_COMMAND,
) -> int:
    """Run the server until it is asked to end; the exit status."""
    # It has every secret in its environment.
    core_dumps.disable()
    core_dumps.hide_memory()
    console = Console(highlight=False, markup=False, emoji=False)
    errors = Console(highlight=False, markup=False, emoji=False, stderr=True)
    try:
        dotenv = read_dotenv(folder)
        for warning in list_unknown_settings(dotenv):
            errors.print(warning, style="yellow", soft_wrap=True)
        decided = build_plan(environ, dotenv, folder, api=api, executor=executor, tools=tools)
    except StartupError as problem:
        errors.print(str(problem), style="red", soft_wrap=True)
        return 1
    return asyncio.run(serve(decided, console, errors))
