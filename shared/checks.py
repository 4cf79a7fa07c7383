"""The reports of the programs: with `--check`, a program writes one JSON object to stdout and exits.

Invariants: a report has no credential, nor anything read from one. A problem is a sentence with its fix, as at a start.
"""

from msgspec import Struct


class ApiCheck(Struct, frozen=True):
    """The API, as it would start now.

    complaints: invalid settings; if there are any, nothing else was checked. data_problem, database_problem,
    rate_limit_problem: the problem of DATA_DIR, of the database, and of RATE_LIMIT_URL; empty if there is none.
    data_dir_exists: DATA_DIR exists. has_database_url: the database is that of DATABASE_URL. schema_version: the version of
    its tables; empty if there are none yet, or another program writes to them. has_rate_limit_url: RATE_LIMIT_URL is set.
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

    complaints: invalid settings. cli: the path of the CLI; empty if it was not found. version: the CLI's version; tested: the
    version that this server was tested with. problem: why the CLI does not start. missing: what its sandbox lacks on this
    host. credential: the kind of credential that the CLI gets; unused: other kinds that are set. logged_in: whether the CLI
    accepts that credential, without asking the service; None if it can't tell. service_asked: the service was asked a
    question; failure_kind: the kind of the error that it answered, empty after an answer.
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

    writable: it is one of WRITABLE_PATHS. readable, can_write: what the user of the jobs may do there; reachable: whether that
    user can enter every folder above it.
    """

    path: str
    writable: bool = False
    readable: bool = True
    can_write: bool = True
    reachable: bool = True
    problem: str = ""


class ToolsCheck(Struct, frozen=True):
    """An executor of the tools role, as it would start now.

    complaints: invalid settings. user: the user of the jobs. landlock: the version of the kernel's interface; 0 without
    Landlock. can_filter_system_calls: whether system calls can be filtered here. missing: what this kernel's Landlock lacks.
    mount_problem: why folders can't be mounted without exec. sandbox_problem: what failed when the sandbox was tested.
    converter_problem: why documents can't be converted. paths: the allowed paths. command_count: the number of allowed
    commands; command_problems: why others can't be allowed.
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
