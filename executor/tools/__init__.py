"""The tools role: files and commands, for every door alike. Each job runs in a process of its own, in a sandbox."""
