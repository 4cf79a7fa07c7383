"""The claude role: drives the Claude Code CLI. It has the credential and the network; it has no files and no commands."""
