"""Anthropic's messages, their token counts and models (https://docs.anthropic.com/en/api/messages)."""
