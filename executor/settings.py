"""The executor's settings: its environment, checked at the start.

Invariants: only the environment is read; an error names the setting and the fix.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings of an operator. Times are in seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    run_dir: Path = Path(".run")
    claude_cli_path: Path | None = None
    default_model: str = "sonnet"
    max_concurrent: Annotated[int, Field(ge=1, le=512)] = 4
    max_queue: Annotated[int, Field(ge=0, le=10_000)] = 32
    queue_timeout: Annotated[float, Field(gt=0, le=3600)] = 10
    cli_pool_size: Annotated[int, Field(ge=0, le=64)] = 2
    drain_timeout: Annotated[float, Field(ge=0, le=3600)] = 3
    watchdog_timeout: Annotated[float, Field(ge=0, le=3600)] = 30
    allowed_paths: str | None = None
    writable_paths: str | None = None
    allowed_commands: str = (
        "ls,cat,head,tail,wc,grep,find,date,uptime,df,du,free,whoami,pwd,echo,file,stat,sort,uniq,cut,tr"
    )
    tools_user: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = "nobody"
    command_timeout: Annotated[float, Field(gt=0, le=3600)] = 120
    command_cpu: Annotated[int, Field(ge=1, le=3600)] = 60
    command_memory_mb: Annotated[int, Field(ge=256, le=1_048_576)] = 1024
    command_processes: Annotated[int, Field(ge=4, le=4096)] = 64
    command_file_mb: Annotated[int, Field(ge=1, le=1_048_576)] = 256
    command_disk_mb: Annotated[int, Field(ge=1, le=1_048_576)] = 1024
    command_new_files: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    output_limit_kb: Annotated[int, Field(ge=1, le=32_768)] = 1024
    read_limit_mb: Annotated[int, Field(ge=1, le=32)] = 16
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
