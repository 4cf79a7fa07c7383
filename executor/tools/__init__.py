"""The tools role: jobs on files and commands, for every API. Each job runs in its own process, in a sandbox."""
