"""Reads, searches, lists, writes and edits files."""
