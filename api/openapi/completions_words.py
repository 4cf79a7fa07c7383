"""What is said of legacy completions' structs, and what JSON Schema can say beyond them. Markdown."""

from typing import Any

from api.conversation.fields import MAX_STOP_SEQUENCES

TEXT = "CompletionRequest"

COMPLETION_WORDS: dict[str, str] = {
    TEXT: "A text to be continued. `null` is the same as leaving a field out; fields that are not named here are accepted and mean nothing.",
    f"{TEXT}.prompt": "The text, or several, each of which is completed. Token arrays are refused.",
    f"{TEXT}.suffix": "The text after a gap; the answer is what belongs between `prompt` and it.",
    f"{TEXT}.model": "A name of GET /v1/models; DEFAULT_MODEL without one.",
    f"{TEXT}.max_tokens": "The most tokens that may be written, thinking included; as many as the model likes if left out.",
    f"{TEXT}.stop": "A text, or several, that end the answer just before them.",
    f"{TEXT}.n": "How many answers are wanted to each prompt.",
    f"{TEXT}.best_of": "Only the value of `n`.",
    f"{TEXT}.echo": "Begin the answer with the prompt.",
    f"{TEXT}.stream": "Send the answer as it is written, as server-sent events.",
    f"{TEXT}.stream_options": "Only with `stream: true`. `include_usage` asks for a last piece with the tokens.",
    f"{TEXT}.max_budget_usd": "What an answer may cost, in US dollars.",
    "TextCompletion": "An answer; in a stream, a piece of one.",
    "TextCompletion.id": "This answer's id, the same in every piece.",
    "TextCompletion.object": "What this is.",
    "TextCompletion.created": "When it began, in seconds since 1970.",
    "TextCompletion.model": "The model that answers.",
    "TextCompletion.choices": "The answers, `n` to each prompt, in the prompts' order; in a stream, what is new.",
    "TextCompletion.usage": "The tokens of all answers; in a stream, only with `include_usage`, in the last piece.",
    "TextChoice": "An answer; in a stream, a piece of one.",
    "TextChoice.text": "The text; in a stream, more of it.",
    "TextChoice.index": "Which of the answers this is, from 0.",
    "TextChoice.finish_reason": "Why it ended: it was done or met a `stop` text (`stop`), reached the limit (`length`), or was "
    "held back (`content_filter`); in a stream, null until then.",
    "TextChoice.logprobs": "Always null.",
}

COMPLETION_LIMITS: dict[str, dict[str, Any]] = {
    f"{TEXT}.prompt": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
    },
    f"{TEXT}.max_tokens": {"minimum": 1, "maximum": 10_000_000},
    f"{TEXT}.stop": {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}, "maxItems": MAX_STOP_SEQUENCES},
            {"type": "null"},
        ]
    },
    f"{TEXT}.max_budget_usd": {"exclusiveMinimum": 0, "maximum": 10_000},
    "TextCompletion.id": {"pattern": "^cmpl-"},
}
