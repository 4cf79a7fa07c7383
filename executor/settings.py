"""The executor's settings, read from its environment and validated at start.

Invariants: only the environment is read. An error message names the setting and the fix.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings. Each field's docstring is its description in `docs/configuration.md`."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    run_dir: Path = Path(".run")
    """The folder of the sockets, of the generated key and of the CLI's private folders. Socket paths may have 100
    bytes.
    """
    claude_cli_path: Path | None = None
    """A `claude` binary to use instead of the installed one; not a script."""
    default_model: str = "sonnet"
    """The model for requests that name none: `haiku`, `sonnet`, `opus`, a full `claude-…` id or an alias."""
    max_concurrent: Annotated[int, Field(ge=1, le=512)] = 4
    """Conversations that each executor runs at the same time."""
    max_queue: Annotated[int, Field(ge=0, le=10_000)] = 32
    """Requests that wait at each executor; four times as many at a tools executor. One more gets a 429."""
    queue_timeout: Annotated[float, Field(gt=0, le=3600)] = 10
    """Seconds that a request waits in the queue before it gets a 429."""
    cli_pool_size: Annotated[int, Field(ge=0, le=64)] = 2
    """Idle CLI processes that each executor keeps ready; 0 starts one for each request."""
    held_max: Annotated[int | None, Field(ge=0, le=512)] = None
    """CLI processes that each executor holds after an answer, for the conversation's next request; 0 holds none. Default: as
    many as HELD_MEMORY_MB has room for, and at most four for each of MAX_CONCURRENT.
    """
    held_ttl: Annotated[float, Field(gt=0, le=86_400)] = 300
    """Seconds that a process is held."""
    held_memory_mb: Annotated[int | None, Field(ge=0, le=1_048_576)] = None
    """Memory of all held processes of an executor, in MiB. Default: a quarter of what is available at the start."""
    drain_timeout: Annotated[float, Field(ge=0, le=3600)] = 3
    """Seconds that running answers get at a stop. `make run` ends everything within 5 s in any case."""
    watchdog_timeout: Annotated[float, Field(ge=0, le=3600)] = 30
    """Seconds without progress after which a program ends itself and is restarted; 0 disables this."""
    allowed_paths: str | None = None
    """Folders whose files the tools may read, separated by commas. Existing directories that do not contain the
    server's own secrets. `make run` creates `workspace` if none is set.
    """
    writable_paths: str | None = None
    """Folders in which the tools may also write. Not a folder that code is loaded from; see the notes."""
    allowed_commands: str = (
        "ls,cat,head,tail,wc,grep,find,date,uptime,df,du,free,whoami,pwd,echo,file,stat,sort,uniq,cut,tr"
    )
    """Programs that a command may run, separated by commas; not scripts."""
    tools_user: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = "nobody"
    """The user that the tools executor becomes when it is started as root; not root."""
    command_timeout: Annotated[float, Field(gt=0, le=3600)] = 120
    """Seconds that a command may take."""
    command_cpu: Annotated[int, Field(ge=1, le=3600)] = 60
    """CPU seconds of each process of a job."""
    command_memory_mb: Annotated[int, Field(ge=256, le=1_048_576)] = 1024
    """Memory of a job, all of its processes together, in MiB."""
    command_processes: Annotated[int, Field(ge=4, le=4096)] = 64
    """Processes of a job."""
    command_file_mb: Annotated[int, Field(ge=1, le=1_048_576)] = 256
    """The largest file that a job may write, in MiB."""
    command_disk_mb: Annotated[int, Field(ge=1, le=1_048_576)] = 1024
    """How much the free space of the writable folders may shrink during a job, in MiB."""
    command_new_files: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Files and folders that a job may create in the writable folders, where the file system counts them."""
    output_limit_kb: Annotated[int, Field(ge=1, le=32_768)] = 1024
    """How much of a command's output is returned, in KiB."""
    read_limit_mb: Annotated[int, Field(ge=1, le=32)] = 16
    """The largest file read in one piece, and the largest part of a larger file, in MiB."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe messages to log."""
    log_format: Literal["console", "json"] = "console"
    """`console` for people, or `json` with one object a line."""
