"""Converts the office documents of a request to Markdown, on a tools executor.

Invariants: no byte of an office document is parsed here; a failed conversion raises a Problem that names its part.
"""

from collections.abc import Awaitable, Callable

from api.core.problems import Problem, problem_from_failure
from api.media.blocks import OfficeDocument, media_problem
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import ConvertDocument, ConvertedDocument, JobResult
from shared.turn import Document

NO_CONVERTER = "no tools executor is available to convert office documents."
NO_CONVERTER_HINT = "Send the document as PDF or text, or ask the server's owner to run a tools executor."

type RunJob = Callable[[ConvertDocument], Awaitable[JobResult | Failed]]


async def convert_document(run_job: RunJob, document: OfficeDocument) -> Document:
    """Returns the document as Markdown. run_job: runs the job on an executor. Raises Problem."""
    match await run_job(ConvertDocument(document.data)):
        case ConvertedDocument(markdown, note):
            context = "\n".join(filter(None, (document.context, note)))
            return Document("text/plain", markdown, document.title, context)
        case Failed() as failed:
            raise conversion_problem(failed, document.where)
        case _:
            raise conversion_problem(Failed(ErrorKind.EXECUTOR_LOST), document.where)


def conversion_problem(failed: Failed, where: str) -> Problem:
    """Returns the problem of a failed conversion. where: the part of the request that holds the document."""
    match failed.kind:
        case ErrorKind.BAD_JOB:
            return media_problem("invalid_file", failed.detail, where)
        case ErrorKind.TOO_LARGE:
            return media_problem("file_too_large", failed.detail, where, 413)
        case _:
            problem = problem_from_failure(failed)
    if failed.kind is ErrorKind.TOOLS_UNAVAILABLE:
        problem.message = " ".join(filter(None, (NO_CONVERTER, failed.detail, NO_CONVERTER_HINT)))
    problem.param, problem.message = where, f"`{where}`: {problem.message}"
    return problem
