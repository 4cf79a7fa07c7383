"""Runs the Claude Code CLI, or (in its other role) files and commands. No HTTP, no web framework."""
