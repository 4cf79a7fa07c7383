"""The server's services for the rest and mcp dialects: chat, work on files, file reads and commands."""
