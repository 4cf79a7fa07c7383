"""The server's own services for every dialect that offers them: chat, work on files, file reads and commands."""
