"""What this server does by itself, for every door that offers it: chats, work on files, files and commands."""
