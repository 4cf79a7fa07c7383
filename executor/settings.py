"""The executor's settings: its environment, checked at start.

Law: only the environment is read; a message names the setting and the mend.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator may set. Times are in seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    run_dir: Path = Path(".run")
    claude_cli_path: Path | None = None
    default_model: str = "sonnet"
    max_concurrent: Annotated[int, Field(ge=1, le=512)] = 4
    max_queue: Annotated[int, Field(ge=0, le=10_000)] = 32
    queue_timeout: Annotated[float, Field(gt=0, le=3600)] = 10
    parked: Annotated[int, Field(ge=0, le=64)] = 2
    drain_timeout: Annotated[float, Field(ge=0, le=3600)] = 3
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
