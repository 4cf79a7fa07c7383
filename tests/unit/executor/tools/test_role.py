"""What a tools executor refuses before anything is asked of its sandbox."""

import pytest

from executor.admission import Admission
from executor.sandbox.confine import Program
from executor.tools.config import ToolConfig
from executor.tools.role import NO_PATHS, ToolsRole
from executor.tools.worker.setup import SetupResult
from shared.errors import ErrorKind
from shared.events import Failed, Queued
from shared.tool_jobs import CommandOutput, ConvertDocument, JobDone, ListFolder, ToolJob

MISSING = "office documents can't be converted: anydoc is missing"


@pytest.mark.parametrize(
    ("problem", "converter", "job", "detail"),
    [
        ("", MISSING, ConvertDocument(b"PK"), MISSING),
        ("no sandbox", MISSING, ConvertDocument(b"PK"), "no sandbox"),
        ("", MISSING, ListFolder(), NO_PATHS),
        ("no sandbox", "", ListFolder(), "no sandbox"),
    ],
)
async def test_job_that_cannot_be_done_is_refused_with_what_lacks(
    problem: str, converter: str, job: ToolJob, detail: str
):
    """A document needs no allowed path, a file needs no converter."""
    told: list[Queued | CommandOutput | JobDone | Failed] = []

    async def emit(message: Queued | CommandOutput | JobDone | Failed) -> None:
        told.append(message)

    role = ToolsRole(
        ToolConfig((), {}, Program("/bin/bash")),
        None,
        Admission(1, 1, 1),
        SetupResult(problem=problem, converter=converter),
    )
    await role.run(job, emit)
    assert told == [Failed(ErrorKind.TOOLS_UNAVAILABLE, detail)]
    assert role.status(draining=False).problem == (problem or NO_PATHS)
