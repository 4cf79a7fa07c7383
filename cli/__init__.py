"""The command `claude-api-server`: runs the server, and manages its keys, its database and its login."""


class StartupError(Exception):
    """The command can't do its work; the message names the problem and the fix."""
