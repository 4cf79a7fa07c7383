"""What each program says of itself when it is started with `--check`: one JSON object on stdout, and it ends.

Law: no credential is in it, nor anything read from one. What is wrong is a sentence with its mend, as at a start.
"""

from msgspec import Struct


class ApiCheck(Struct, frozen=True):
    """The API, as it would start now. complaints: settings that can't be used; then nothing else was looked at.

    data, database, limits: what is wrong with DATA_DIR, the database, and what counts limits for several hosts; empty if
    nothing is. made: DATA_DIR is there. server: the database is one of DATABASE_URL. version: of its tables; empty if there
    are none yet, or they are being written to. shared: RATE_LIMIT_URL is set.
    """

    complaints: tuple[str, ...] = ()
    data_problem: str = ""
    data_dir_exists: bool = False
    has_database_url: bool = False
    schema_version: str = ""
    database_problem: str = ""
    has_rate_limit_url: bool = False
    rate_limit_problem: str = ""


class ClaudeCheck(Struct, frozen=True):
    """An executor of the claude role, as it would start now.

    cli: where the CLI is; empty if it was not found. version: its own word; tested: what this server was tested with.
    problem: why it does not start. missing: what its sandbox lacks here. credential: the kind that it would get; unused: kinds that are set beside it.
    logged_in: what the CLI says of that credential without asking the service; None if it can't tell.
    asked: whether the service was asked a question; failed: the kind of error that came of it, empty after an answer.
    """

    complaints: tuple[str, ...] = ()
    cli: str = ""
    version: str = ""
    tested: str = ""
    problem: str = ""
    missing: tuple[str, ...] = ()
    credential: str = "none"
    unused: tuple[str, ...] = ()
    logged_in: bool | None = None
    service_asked: bool = False
    failure_kind: str = ""


class AllowedPath(Struct, frozen=True):
    """A folder that the tools may read. problem: why it can't be allowed.

    readable, writes: what the user of the jobs may do there; reachable: whether that user comes there by its path.
    """

    path: str
    writable: bool = False
    readable: bool = True
    can_write: bool = True
    reachable: bool = True
    problem: str = ""


class ToolsCheck(Struct, frozen=True):
    """An executor of the tools role, as it would start now.

    user: whose rights jobs have. landlock: the version of the kernel's interface; system_calls: whether they can be
    filtered here; missing: what this kernel's Landlock lacks; mounts: why folders can't be mounted without exec;
    sandbox: what does not hold when it is tried. converter: why documents can't be converted. commands: how many are allowed; refused: those that can't be.
    """

    complaints: tuple[str, ...] = ()
    user: str = ""
    landlock: int = 0
    can_filter_system_calls: bool = False
    missing: tuple[str, ...] = ()
    mount_problem: str = ""
    sandbox_problem: str = ""
    converter_problem: str = ""
    paths: tuple[AllowedPath, ...] = ()
    command_count: int = 0
    command_problems: tuple[str, ...] = ()
