"""A tools executor of one's own, for tests: the real program, spoken to over its socket.

Invariants: everything is private to it (folder, socket, allowed paths), and nothing of it outlives the `async with`.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from shared.events import Failed
from shared.tool_jobs import CommandOutput, CommandResult, JobDone, JobResult, RunCommand, ToolJob, ToolsStatus
from shared.wire import RunTool, encode_frame, fetch_status, read_to_api
from tests.support.stack import Program, wait_until
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.worker import tools_user

SECRET = "sk-ant-not-to-be-found"


class JobOutput(Struct):
    """What a job brought: what was written meanwhile, and its end."""

    stdout: bytes
    stderr: bytes
    end: JobResult | Failed

    @property
    def failure(self) -> Failed:
        assert isinstance(self.end, Failed), self
        return self.end

    @property
    def returncode(self) -> int:
        assert isinstance(self.end, CommandResult), self
        return self.end.returncode


class ToolsProgram:
    """Mutable: the program, and the files in its folders. root: allowed; writable: that too, to write."""

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        readable: tuple[str, ...] = (),
        uid: int = 0,
        programs: Mapping[str, bytes] | None = None,
        without: Iterable[str] = (),
        contained: str = "",
    ) -> None:
        """readable: more allowed paths. uid: who starts it, if this is root. programs: more commands, made here.

        without: defences that are not put up (`tests.support.without_defences`). contained: `plain` or `noexec` (`tests.support.container_emulation`).
        """
        self.folder = Path(tempfile.mkdtemp(prefix="cat-"))
        self.folder.chmod(0o755)
        self.root, self.writable, self.outside = (self.folder / name for name in ("files", "work", "outside"))
        for each in (self.root, self.writable, self.outside):
            each.mkdir()
        self.writable.chmod(0o777)
        # Whoever comes there may do as he likes: what stops him is the sandbox.
        self.outside.chmod(0o777)
        (self.outside / "secret.txt").write_text(SECRET)
        for name, program in (programs or {}).items():
            place = self.folder / name
            place.write_bytes(program)
            place.chmod(0o755)
        self.run_dir = self.folder / "run"
        self.run_dir.mkdir()
        if uid:
            os.chown(self.run_dir, uid, uid)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "RUN_DIR": str(self.run_dir),
            "LOG_LEVEL": "debug",
            "ALLOWED_PATHS": ",".join([str(self.root), *readable]),
            "WRITABLE_PATHS": str(self.writable),
            "COMMAND_TIMEOUT": "90",
            "TOOLS_USER": tools_user(),
            **(settings or {}),
        }
        if programs:
            made = [str(self.folder / name) for name in programs]
            environment["ALLOWED_COMMANDS"] = ",".join([environment["ALLOWED_COMMANDS"], *made])
        module = ["tests.support.as_user", str(uid)] if uid else ["executor"]
        module = ["tests.support.without_defences", ",".join(without), str(uid)] if without else module
        module = ["tests.support.container_emulation", str(uid), contained] if contained else module
        # What attackers are told.
        self.attack_facts: dict[str, object] = {}
        self.program = Program([*module, "--role", "tools"], environment, self.folder / "tools.log")

    async def __aenter__(self) -> Self:
        try:
            await self.program.start()
            await wait_until(self._answers)
        except BaseException:
            print(self.read_log())
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error:
            print(self.read_log())
        await self._end()

    async def _answers(self) -> bool:
        process = self.program.process
        if process and process.returncode is not None:
            raise RuntimeError(f"the program ended:\n{self.read_log()}")
        try:
            await self.fetch_status()
        except OSError:
            return False
        return True

    async def _end(self) -> None:
        if process := self.program.process:
            await (self.program.stop() if process.returncode is None else self.program.wait_for_exit())
        shutil.rmtree(self.folder, ignore_errors=True)

    def read_log(self) -> str:
        return self.program.log.read_text() if self.program.log.exists() else ""

    async def fetch_status(self) -> ToolsStatus:
        answer = await fetch_status(self.run_dir / "tools-1.sock")
        assert isinstance(answer, ToolsStatus)
        return answer

    async def run_job(self, job: ToolJob, timeout: float = TEST_TIMEOUT) -> JobOutput:
        """Have a job done."""
        reader, writer = await asyncio.open_unix_connection(str(self.run_dir / "tools-1.sock"))
        said = {"stdout": bytearray(), "stderr": bytearray()}
        try:
            async with asyncio.timeout(timeout):
                writer.write(encode_frame(RunTool(job, "test")))
                while True:
                    match await read_to_api(reader):
                        case CommandOutput(stream, data):
                            said[stream] += data
                        case JobDone(result):
                            return JobOutput(bytes(said["stdout"]), bytes(said["stderr"]), result)
                        case Failed() as failed:
                            return JobOutput(bytes(said["stdout"]), bytes(said["stderr"]), failed)
                        case other:
                            raise AssertionError(other)
        finally:
            writer.close()

    async def run_command(self, command: str, cwd: str | None = None, timeout: float | None = None) -> JobOutput:
        """Have a command run."""
        return await self.run_job(RunCommand(command, cwd, timeout))
