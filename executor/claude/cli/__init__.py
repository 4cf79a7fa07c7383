"""The Claude Code CLI as a process: its command line, pool, protocol and sandbox."""
