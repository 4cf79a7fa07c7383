"""Records what clients really send, by the manual's own examples: `python -m tests.support.recorder --help`."""
