"""Runs the server in one terminal: `claude-api-server up`, which is what `make run` starts."""


class StartupError(Exception):
    """Nothing was started; the message names what is wrong and the mend."""
