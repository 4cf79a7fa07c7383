"""Decides whether a job is allowed: turns it into a task for the sandbox, or refuses it. Pure.

Invariants: the jobs of all APIs pass here, and nothing else decides, with one exception: `executor.tools.worker.programs`
decides in the sandbox which programs a command may name. A path is compared as text, without resolving symbolic links,
since none is followed.
"""

import os

from msgspec import structs

from executor.tools.config import ToolConfig
from executor.tools.files import globs, search
from executor.tools.task import JobRefused, Task
from shared.errors import ErrorKind
from shared.text.file_types import MAX_DOCUMENT_BYTES
from shared.tool_jobs import (
    MAX_COMMAND_BYTES,
    MAX_LINES,
    MAX_PDF_PAGES,
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

MAX_PATH_LENGTH = 4096


def build_task(config: ToolConfig, job: ToolJob) -> Task:
    """Builds the task of a job. Raises JobRefused."""
    match job:
        case ConvertDocument(data):
            # The job contains its document, so no path is checked.
            if (size := len(data)) > MAX_DOCUMENT_BYTES:
                raise JobRefused(
                    ErrorKind.TOO_LARGE, f"it has {size} bytes; a document of {MAX_DOCUMENT_BYTES} can be converted"
                )
            return Task(job)
        case RunCommand():
            root, path = resolve_path(config, job.cwd, "cwd")
            # Its text is parsed in the sandbox (`worker.programs`), since parsing shell text may take long.
            if (size := len(job.command.encode(errors="surrogatepass"))) > MAX_COMMAND_BYTES:
                raise JobRefused(ErrorKind.TOO_LARGE, f"command: it has {size} bytes; {MAX_COMMAND_BYTES} can be run")
            return Task(job, root, path, _resolve_timeout(config, job.timeout))
        case _:
            return _build_file_task(config, job)


def _build_file_task(
    config: ToolConfig, job: ReadFile | FindFiles | SearchFiles | WriteFile | EditFile | ListFolder
) -> Task:
    """Builds the task of a job on files. Raises JobRefused."""
    if isinstance(job, FindFiles | SearchFiles):
        job = resolve_search(config, job)
    root, path = resolve_path(config, job.path)
    match job:
        case WriteFile() | EditFile():
            if not config.roots[root].writable:
                raise JobRefused(
                    ErrorKind.NOT_ALLOWED, f"{job.path} can't be written. Writable: {config.writable_paths}"
                )
            if isinstance(job, EditFile):
                _check_edit(job)
        case ReadFile():
            _check_counts(offset=job.offset, limit=job.limit)
            first, last = job.pages or (1, 1)
            if not 1 <= first <= last < first + MAX_PDF_PAGES:
                raise JobRefused(
                    ErrorKind.BAD_JOB, f"pages: they count from 1, and at most {MAX_PDF_PAGES} can be read at once"
                )
        case FindFiles() | SearchFiles():
            _check_search(job)
        case ListFolder():
            pass
    return Task(job, root, path)


def _check_edit(job: EditFile) -> None:
    if not job.old:
        raise JobRefused(ErrorKind.BAD_JOB, "the text to replace is empty; write the whole file instead")
    if job.old == job.new:
        raise JobRefused(ErrorKind.BAD_JOB, "the new text is the same as the one to replace")


def _check_search(job: FindFiles | SearchFiles) -> None:
    _check_counts(limit=job.limit)
    if "\0" in job.pattern or not job.pattern:
        raise JobRefused(ErrorKind.BAD_JOB, "pattern: it is empty, or has a NUL character")
    if isinstance(job, SearchFiles):
        _check_counts(minimum=0, before=job.before, after=job.after)
        if "\0" in (job.glob or "") + (job.file_type or ""):
            raise JobRefused(ErrorKind.BAD_JOB, "glob, file_type: they can't contain a NUL character")


def resolve_search(config: ToolConfig, job: FindFiles | SearchFiles) -> FindFiles | SearchFiles:
    """Moves the leading folders of an absolute pattern, or of one with `..`, into the job's path. Raises JobRefused."""
    resolve_path(config, job.path)
    name = "pattern" if isinstance(job, FindFiles) else "glob"
    pattern = search.get_file_pattern(job)
    if not pattern:
        return job
    try:
        globs.parse_globs(pattern)
    except globs.InvalidGlob as bad:
        raise JobRefused(ErrorKind.BAD_JOB, f"{name}: {bad}") from bad
    head, rest = globs.split_prefix(pattern)
    if not pattern.startswith("/") and ".." not in head.split("/"):
        return job
    base = to_absolute(config, job.path)
    folder = os.path.normpath(f"{base}/{head}" if pattern[0] != "/" else head or "/")
    resolve_path(config, folder)
    if pattern[0] == "/" and job.path is not None and not f"{folder}/".startswith(f"{base.rstrip('/')}/"):
        if not (f"{base}/".startswith(f"{folder}/") and rest.startswith("**/")):
            raise JobRefused(ErrorKind.BAD_JOB, f"{name}: {pattern} is not in {job.path}; leave out `path`, or fix it")
        folder = base
    # The slash anchors the pattern at the folder; without it, a pattern would match names in any folder.
    return structs.replace(job, path=folder, **{name: f"/{rest}"})


def resolve_path(config: ToolConfig, path: str | None, name: str = "the path") -> tuple[int, str]:
    """Returns the index of the allowed folder, and the path below it. name: of the path, for messages. Raises JobRefused."""
    if not config.roots:
        raise JobRefused(ErrorKind.NOT_ALLOWED, "no path is allowed. ALLOWED_PATHS sets which")
    if path is None:
        return 0, "."
    if not path or "\0" in path or len(path) > MAX_PATH_LENGTH:
        raise JobRefused(ErrorKind.BAD_JOB, f"{name} is empty, too long, or has a NUL character")
    absolute = to_absolute(config, path)
    best: tuple[int, str] | None = None
    length = -1
    for index, root in enumerate(config.roots):
        for start in {root.path, root.configured}:
            under = start.rstrip("/") + "/"
            if (absolute == start or absolute.startswith(under)) and len(under) > length:
                best, length = (index, absolute[len(under) :] or "."), len(under)
    if best is None:
        raise JobRefused(ErrorKind.NOT_ALLOWED, f"{path} is not in an allowed path. Allowed: {config.readable_paths}")
    return best


def to_absolute(config: ToolConfig, path: str | None) -> str:
    """Returns the absolute path; the first allowed path if None."""
    first = config.roots[0].path
    return os.path.normpath(os.path.join(first, path or ".")).replace("//", "/")  # noqa: PTH118 # as text


def _resolve_timeout(config: ToolConfig, wanted: float | None) -> float:
    if wanted is None:
        return config.timeout
    if not 0 < wanted <= config.timeout:
        raise JobRefused(
            ErrorKind.BAD_JOB, f"timeout: more than 0 and at most {config.timeout:g} seconds; COMMAND_TIMEOUT sets that"
        )
    return wanted


def _check_counts(minimum: int = 1, **counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and not minimum <= count <= MAX_LINES:
            raise JobRefused(ErrorKind.BAD_JOB, f"{name}: must be from {minimum} to {MAX_LINES}")
