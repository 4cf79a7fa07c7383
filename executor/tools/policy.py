"""What may be done: a job and what the owner allows, in; a task for the sandbox, or a refusal, out. Pure.

Law: every door's job passes here, and nothing else decides; which programs a command may name is decided by `programs` of
`executor.tools.programs`, in the sandbox. A path is compared as it is written: what a symbolic link
would make of it is not asked, since none is followed.
"""

import os

from msgspec import structs

from executor.tools.config import Ground
from executor.tools.files import globs, search
from executor.tools.refusal import Refused
from executor.tools.task import Task
from shared.errors import ErrorKind
from shared.text.file_types import MAX_DOCUMENT
from shared.tool_jobs import (
    LONGEST_COMMAND,
    MOST_LINES,
    MOST_PAGES,
    ConvertDocument,
    EditFile,
    FindFiles,
    ListFolder,
    ReadFile,
    RunCommand,
    SearchFiles,
    ToolJob,
    WriteFile,
)

LONGEST_PATH = 4096


def granted(ground: Ground, job: ToolJob) -> Task:
    """The task. Raises Refused."""
    return _conversion(job) if isinstance(job, ConvertDocument) else _below(ground, job)


def _below(
    ground: Ground, job: ReadFile | FindFiles | SearchFiles | RunCommand | WriteFile | EditFile | ListFolder
) -> Task:
    """The task of a job in an allowed folder. Raises Refused."""
    if isinstance(job, RunCommand):
        root, path = place(ground, job.cwd, "cwd")
        # Its text is read in the sandbox (`commands.programs`): to read shell text may take long.
        _bounded(job.command)
        return Task(job, root, path, _timeout(ground, job.timeout))
    if isinstance(job, FindFiles | SearchFiles):
        job = rooted(ground, job)
    root, path = place(ground, job.path)
    match job:
        case WriteFile() | EditFile():
            if not ground.roots[root].writable:
                raise Refused(ErrorKind.NOT_ALLOWED, f"{job.path} can't be written. Writable: {ground.writable}")
            if isinstance(job, EditFile):
                _changing(job)
        case ReadFile():
            _counts(offset=job.offset, limit=job.limit)
            first, last = job.pages or (1, 1)
            if not 1 <= first <= last < first + MOST_PAGES:
                raise Refused(
                    ErrorKind.BAD_JOB, f"pages: they count from 1, and at most {MOST_PAGES} are drawn at once"
                )
        case FindFiles() | SearchFiles():
            _searchable(job)
        case ListFolder():
            pass
    return Task(job, root, path)


def _conversion(job: ConvertDocument) -> Task:
    """It has all that it needs with it: no path is looked at."""
    if len(job.data) > MAX_DOCUMENT:
        raise Refused(
            ErrorKind.TOO_LARGE, f"it has {len(job.data)} bytes; a document of {MAX_DOCUMENT} can be converted"
        )
    return Task(job)


def _changing(job: EditFile) -> None:
    if not job.old:
        raise Refused(ErrorKind.BAD_JOB, "the text to replace is empty; write the whole file instead")
    if job.old == job.new:
        raise Refused(ErrorKind.BAD_JOB, "the new text is the same as the one to replace")


def _searchable(job: FindFiles | SearchFiles) -> None:
    _counts(limit=job.limit)
    if "\0" in job.pattern or not job.pattern:
        raise Refused(ErrorKind.BAD_JOB, "pattern: it is empty, or has a NUL character")
    if isinstance(job, SearchFiles):
        _counts(least=0, before=job.before, after=job.after)
        if "\0" in (job.glob or "") + (job.file_type or ""):
            raise Refused(ErrorKind.BAD_JOB, "glob, file_type: no NUL character can be in them")


def rooted(ground: Ground, job: FindFiles | SearchFiles) -> FindFiles | SearchFiles:
    """A search whose pattern begins with folders from the root, or with ways up, as one in those folders. Raises Refused."""
    place(ground, job.path)
    name = "pattern" if isinstance(job, FindFiles) else "glob"
    pattern = search.pattern(job)
    if not pattern:
        return job
    try:
        globs.globs(pattern)
    except globs.BadGlob as bad:
        raise Refused(ErrorKind.BAD_JOB, f"{name}: {bad}") from bad
    head, rest = globs.parted(pattern)
    if not pattern.startswith("/") and ".." not in head.split("/"):
        return job
    given = whole(ground, job.path)
    folder = os.path.normpath(f"{given}/{head}" if pattern[0] != "/" else head or "/")
    place(ground, folder)
    if pattern[0] == "/" and job.path is not None and not f"{folder}/".startswith(f"{given.rstrip('/')}/"):
        if not (f"{given}/".startswith(f"{folder}/") and rest.startswith("**/")):
            raise Refused(ErrorKind.BAD_JOB, f"{name}: {pattern} is not in {job.path}; leave out `path`, or mend it")
        folder = given
    # From there on, and not of names wherever they are.
    return structs.replace(job, path=folder, **{name: f"/{rest}"})


def place(ground: Ground, path: str | None, name: str = "the path") -> tuple[int, str]:
    """Which allowed folder, and where below it. name: what it is called. Raises Refused."""
    if not ground.roots:
        raise Refused(ErrorKind.NOT_ALLOWED, "no path is allowed. ALLOWED_PATHS sets which")
    if path is None:
        return 0, "."
    if not path or "\0" in path or len(path) > LONGEST_PATH:
        raise Refused(ErrorKind.BAD_JOB, f"{name} is empty, too long, or has a NUL character")
    absolute = whole(ground, path)
    best: tuple[int, str] | None = None
    length = -1
    for index, root in enumerate(ground.roots):
        for start in {root.path, root.spelled}:
            under = start.rstrip("/") + "/"
            if (absolute == start or absolute.startswith(under)) and len(under) > length:
                best, length = (index, absolute[len(under) :] or "."), len(under)
    if best is None:
        raise Refused(ErrorKind.NOT_ALLOWED, f"{path} is not in an allowed path. Allowed: {ground.readable}")
    return best


def whole(ground: Ground, path: str | None) -> str:
    """A path from the root; the first allowed path if None."""
    first = ground.roots[0].path
    return os.path.normpath(os.path.join(first, path or ".")).replace("//", "/")  # noqa: PTH118 # as text


def _bounded(command: str) -> None:
    if (size := len(command.encode(errors="surrogatepass"))) > LONGEST_COMMAND:
        raise Refused(
            ErrorKind.TOO_LARGE,
            f"command: it has {size} bytes; {LONGEST_COMMAND} can be run",
        )


def _timeout(ground: Ground, wanted: float | None) -> float:
    if wanted is None:
        return ground.timeout
    if not 0 < wanted <= ground.timeout:
        raise Refused(
            ErrorKind.BAD_JOB, f"timeout: more than 0 and at most {ground.timeout:g} seconds; COMMAND_TIMEOUT sets that"
        )
    return wanted


def _counts(least: int = 1, **counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and not least <= count <= MOST_LINES:
            raise Refused(ErrorKind.BAD_JOB, f"{name}: it goes from {least} to {MOST_LINES}")
