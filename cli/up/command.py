"""`claude-api-server up`: reads .env, checks the settings, starts and supervises the programs, prints how to use them.

Invariants: only this module sees all settings; each program sees its own only (`environment`).
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from dotenv import dotenv_values
from msgspec import Struct
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.spinner import Spinner

from cli import StartupError
from cli.up import preflight, readiness, token_file
from cli.up.banner import Banner, ClientKey
from cli.up.child import Program
from cli.up.environment import build_environments, build_tools_environment, list_unknown_settings, merge_settings
from cli.up.preflight import Address
from cli.up.supervisor import Supervisor, SupervisorTimeouts
from shared.process import core_dumps, strict_modes

START_TIMEOUT = 60.0
DEFAULT_RUN_DIR = ".run"
DEFAULT_DATA_DIR = ".data"
TOKEN_FILE = "api-token"  # noqa: S105 # its name
ADDRESS_FILE = "api-address"
FRAME_INTERVAL = 0.1
ERASE_LINE = Control((ControlType.ERASE_IN_LINE, 2))

# -P: a folder `api` in the current folder is not imported.
PYTHON_COMMAND = (sys.executable, "-P", "-m")
COMMANDS = {
    "api": (*PYTHON_COMMAND, "api"),
    "claude": (*PYTHON_COMMAND, "executor", "--role", "claude", "--name", Path(preflight.CLAUDE_SOCKET).stem),
    "tools": (*PYTHON_COMMAND, "executor", "--role", "tools", "--name", Path(preflight.TOOLS_SOCKET).stem),
}


class StartPlan(Struct, frozen=True):
    """The decisions before the start. folder: the owner's current folder. watchdog_timeout: seconds."""

    folder: Path
    run_dir: Path
    address: Address
    key: ClientKey
    api: Program
    executor: Program
    tools: Program
    watchdog_timeout: float = SupervisorTimeouts().stall_timeout


def read_dotenv(folder: Path) -> dict[str, str | None]:
    """Returns the settings in .env; none when there is no such file. Raises StartupError."""
    if (folder / ".env").exists() and (problem := strict_modes.find_problem((folder / ".env").absolute())):
        raise StartupError(f".env is not used, because other users could have written it: {problem}")
    try:
        return dotenv_values(folder / ".env", encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise StartupError(
            f".env can't be read: {error}. Write it as UTF-8 text; .env.example is an example."
        ) from error


def build_plan(
    environ: Mapping[str, str],
    dotenv: Mapping[str, str | None],
    folder: Path,
    commands: Mapping[str, tuple[str, ...]] = COMMANDS,
) -> StartPlan:
    """Checks the settings and returns what to start. Raises StartupError."""
    given = merge_settings(environ, dotenv)
    run_dir = folder / given.get("RUN_DIR", DEFAULT_RUN_DIR)
    address = preflight.parse_address(given)
    preflight.check_cli_path(given)
    preflight.prepare_run_dir(run_dir)
    preflight.check_port_free(address)
    data = folder / given.get("DATA_DIR", DEFAULT_DATA_DIR)
    # Created before the tools executor looks for folders with secrets. The API reports its problems.
    with contextlib.suppress(OSError):
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    decided = {"RUN_DIR": str(run_dir), "DATA_DIR": str(data)}
    file = run_dir / TOKEN_FILE
    token_file.write_address(run_dir / ADDRESS_FILE, address)
    if "API_SECRET_TOKEN" in given:
        key = ClientKey("environment" if "API_SECRET_TOKEN" in environ else ".env", file)
    else:
        token = token_file.load_or_create_token(file)
        key = ClientKey("file", file, token.value if token.is_new else "")
        decided["API_SECRET_TOKEN"] = token.value
    if "ALLOWED_PATHS" not in given:
        decided["ALLOWED_PATHS"] = str(preflight.create_workspace(folder))
    api_environment, executor_environment = build_environments({**environ, **decided}, dotenv)
    return StartPlan(
        folder,
        run_dir,
        address,
        key,
        Program("API", commands["api"], api_environment),
        Program("executor", commands["claude"], executor_environment),
        Program("tools executor", commands["tools"], build_tools_environment({**environ, **decided}, dotenv)),
        preflight.parse_watchdog_timeout(given),
    )


def find_command_folder(executable: str) -> Path:
    """Returns the folder of the commands of this Python; in a checkout, through the link `.venv`."""
    folder = Path(executable).parent
    link = folder.parent.parent.parent / ".venv/bin"
    return link if folder.parent.parent.name == ".venvs" and link.exists() else folder


async def serve(plan: StartPlan, console: Console, errors: Console) -> int:
    """Starts and supervises the programs; returns the exit status."""

    async def until_ready() -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT):
                async with _show_step(console, "Starting the executor …"):
                    await readiness.wait_until_accepting(plan.run_dir / preflight.CLAUDE_SOCKET)
                async with _show_step(console, "Starting the API and Claude Code …"):
                    health = await readiness.wait_until_healthy(plan.address)
                async with _show_step(console, "Testing the tools sandbox …"):
                    tools = await readiness.wait_for_tools(plan.run_dir / preflight.TOOLS_SOCKET)
        except TimeoutError as error:
            raise StartupError(
                f"Not ready after {START_TIMEOUT:g} s{await readiness.fetch_problems(plan.address)}. The lines above may "
                "say why; `LOG_LEVEL=debug make run` logs more."
            ) from error
        Banner(plan.address, health, plan.key, plan.folder, find_command_folder(sys.executable), tools).show(console)

    def print_message(message: str) -> None:
        errors.print(message, style="yellow", soft_wrap=True)

    timeouts = SupervisorTimeouts(stall_timeout=plan.watchdog_timeout)
    return await Supervisor(plan.executor, plan.api, print_message, timeouts, plan.tools).run(until_ready)


def up(environ: Mapping[str, str], folder: Path, commands: Mapping[str, tuple[str, ...]] = COMMANDS) -> int:
    """Runs the server until it is stopped; returns the exit status."""
    # This process has every secret in its environment.
    core_dumps.disable()
    core_dumps.hide_memory()
    console = Console(highlight=False, markup=False, emoji=False)
    errors = Console(highlight=False, markup=False, emoji=False, stderr=True)
    try:
        dotenv = read_dotenv(folder)
        for warning in list_unknown_settings(dotenv):
            errors.print(warning, style="yellow", soft_wrap=True)
        plan = build_plan(environ, dotenv, folder, commands)
    except StartupError as problem:
        errors.print(str(problem), style="red", soft_wrap=True)
        return 1
    return asyncio.run(serve(plan, console, errors))


@contextlib.asynccontextmanager
async def _show_step(console: Console, message: str) -> AsyncGenerator[None]:
    """Shows a message while the block runs: with a spinner on a terminal, as a plain line elsewhere.

    The programs write log lines to the same terminal. The spinner leaves the cursor at the start of its line, so that a log
    line overwrites it instead of being appended to it.
    """
    if not console.is_terminal or console.is_dumb_terminal:
        console.print(message, soft_wrap=True)
        yield
        return
    task = asyncio.create_task(_spin(console, message))
    try:
        yield
    finally:
        task.cancel()
        console.control(ERASE_LINE)


async def _spin(console: Console, message: str) -> None:
    spinner = Spinner("dots", message)
    while True:
        console.control(ERASE_LINE)
        console.print(spinner.render(asyncio.get_running_loop().time()), end="\r")
        await asyncio.sleep(FRAME_INTERVAL)
