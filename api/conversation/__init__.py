"""Decodes what several dialects share: messages, items, tools, schemas and parameters."""
