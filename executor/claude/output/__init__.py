"""Parses the CLI's output into the events of one answer."""
