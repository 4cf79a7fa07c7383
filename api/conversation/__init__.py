"""Conversations as clients send them, in the forms that several dialects share."""
