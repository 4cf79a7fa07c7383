"""OpenAI's chat completions and models (https://platform.openai.com/docs/api-reference/chat)."""
