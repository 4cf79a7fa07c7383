"""The folder that the tools may read when the owner names none: made for it, so that nothing else is uncovered."""

from pathlib import Path

from cli import StartupError

FOLDER_NAME = "workspace"
WELCOME = """Welcome to the Claude API Server.

Files in this folder can be read, and searched, by the tools of the server; nothing else can.
ALLOWED_PATHS in .env allows other folders instead of it, WRITABLE_PATHS lets files be written.
"""


def create_workspace(folder: Path) -> Path:
    """The folder, with a first file in it. Raises CannotStart."""
    path = folder / FOLDER_NAME
    try:
        if not path.exists():
            path.mkdir(mode=0o755)
            (path / "welcome.txt").write_text(WELCOME, encoding="utf-8")
    except OSError as error:
        raise StartupError(
            f"{path} can't be made: {error.strerror}. Set ALLOWED_PATHS to a folder of yours."
        ) from error
    return path
