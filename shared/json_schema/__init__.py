"""Checks the JSON Schemas of clients, and evaluates documents against them, with bounded work."""
