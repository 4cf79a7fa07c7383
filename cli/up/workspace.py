"""The folder that the tools may read when ALLOWED_PATHS is not set. It is created for them, so they can read nothing else."""

from pathlib import Path

from cli import StartupError

FOLDER_NAME = "workspace"
WELCOME = """Welcome to the Claude API Server.

The tools of the server can read and search the files in this folder, and no others.
To allow other folders instead, set ALLOWED_PATHS in .env. To let the tools write files, set WRITABLE_PATHS.
"""


def create_workspace(folder: Path) -> Path:
    """Creates the folder with a first file in it; returns it. Raises StartupError."""
    path = folder / FOLDER_NAME
    try:
        if not path.exists():
            path.mkdir(mode=0o755)
            (path / "welcome.txt").write_text(WELCOME, encoding="utf-8")
    except OSError as error:
        raise StartupError(
            f"{path} can't be created: {error.strerror}. Set ALLOWED_PATHS to a folder of yours."
        ) from error
    return path
