"""Exchanges with one CLI process outside of an answer: its setup, its warm-up, and its description of itself.

Invariants: every exchange has a time limit. A control request of the CLI is refused: no turn gives it a reason to send one.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import structlog

from executor.claude.cli.control import (
    build_apply_settings,
    build_initialize,
    encode_control_request,
    encode_refusal,
)
from executor.claude.cli.process import CliCrashed, CliProcess
from executor.claude.cli.protocol import (
    CliError,
    ControlRequest,
    ControlResponse,
    InitializeResponse,
    InvalidLine,
    Line,
    ResultLine,
    parse_initialize_response,
)
from shared.errors import ErrorKind

SETUP_TIMEOUT = 30.0

log = structlog.get_logger()


class TurnRefused(Exception):
    """The CLI or the executor refused to set a turn up."""

    def __init__(self, kind: ErrorKind, detail: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


async def warm_up(process: CliProcess, model: str) -> None:
    """Waits until a process is ready: it has answered a request that fixes nothing for the turn. Raises CliCrashed."""
    try:
        await process.write(encode_control_request("warm", build_apply_settings({"model": model})))
        await await_acks(process, 1)
    except (CliCrashed, TurnRefused) as error:
        raise _with_stderr(error, process) from error


async def fetch_cli_info(process: CliProcess) -> InitializeResponse:
    """Asks a process for its version and the models of this account. Raises CliCrashed."""
    try:
        await process.write(encode_control_request("hello", build_initialize(())))
        async with limit_time("it did not answer in time"):
            while True:
                match await process.read():
                    case ControlResponse(request_id="hello", error=None, response=response):
                        return parse_initialize_response(response)
                    case InvalidLine() as line:
                        raise build_protocol_error(line)
                    case _:
                        pass
    except CliCrashed as error:
        raise _with_stderr(error, process) from error


async def await_acks(process: CliProcess, count: int) -> None:
    """Reads until the CLI has answered `count` control requests. Raises CliCrashed, TurnRefused."""
    async with limit_time("the CLI did not answer in time"):
        while count:
            line = await process.read()
            raise_refusal(line)
            match line:
                case ControlResponse():
                    count -= 1
                case ControlRequest():
                    await process.write(encode_refusal(line.request_id))
                case _:
                    pass


def raise_refusal(line: Line) -> None:
    """Raises the reason why a control request was not carried out, if the line has one. Raises CliCrashed, TurnRefused."""
    match line:
        case ControlResponse(request_id, error, _) if error is not None:
            log.error("the CLI refused a control request", request=request_id, reason=error)
            raise TurnRefused(ErrorKind.MODEL_NOT_FOUND if request_id == "setup-1" else ErrorKind.CLI_FAILED)
        case ResultLine(is_error=True) | CliError():
            raise TurnRefused(ErrorKind.CLI_FAILED)
        case InvalidLine():
            raise build_protocol_error(line)
        case _:
            pass


def build_protocol_error(line: InvalidLine) -> CliCrashed:
    """Builds the error for a line that is not part of the protocol."""
    return CliCrashed(f"it wrote a line outside of its protocol: {line.reason}")


@contextlib.asynccontextmanager
async def limit_time(reason: str) -> AsyncGenerator[None]:
    """Raises CliCrashed with this reason after SETUP_TIMEOUT."""
    try:
        async with asyncio.timeout(SETUP_TIMEOUT):
            yield
    except TimeoutError as error:
        raise CliCrashed(reason) from error


def _with_stderr(error: Exception, process: CliProcess) -> CliCrashed:
    return CliCrashed(f"{error}; its stderr: {process.stderr_text or 'empty'}")
