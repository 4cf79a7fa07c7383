"""Example requests for every endpoint with a request body. Pure."""

from typing import Any

from api.core.schema import Json

# A red dot on white, 32 by 32 pixels.
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAW0lEQVR42mP4T2PAMGrBkLHgjpoaGqKOBZ"
    "jmkmoTA4WmE7SDgXLT8dvBQBXT8djBQC3Tcdkx/CygxHSsdoxaMAItGM1og6Kwo0dxTY8Khx5VJj0q/dGG13CwAACqbjUI2tLq3AAAAA"
    "BJRU5ErkJggg=="
)
WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city, now.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city"],
        },
    },
}
CALL: Json = {
    "id": "toolu_01A09q90qw90lq917835lq9",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Oslo", "unit": "celsius"}'},
}
RECIPE: Json = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "minutes": {"type": "integer"},
        "ingredients": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "minutes", "ingredients"],
    "additionalProperties": False,
}


def _user(content: Any) -> Json:
    return {"role": "user", "content": content}


def _example(summary: str, description: str = "", **fields: Any) -> Json:
    described = {"description": description} if description else {}
    return {"summary": summary, **described, "value": {"model": "sonnet", **fields}}


def _only(**value: Any) -> dict[str, Json]:
    return {"usual": {"summary": "A request", "value": value}}


CHAT: dict[str, Json] = {
    "hello": _example("Hello", "A minimal request.", messages=[_user("Say hello in three languages.")]),
    "streaming": _example(
        "Streaming",
        "A streamed answer; the last chunk has the token usage.",
        messages=[
            {"role": "system", "content": "You are a poet of few words."},
            _user("A haiku about a lighthouse."),
        ],
        stream=True,
        stream_options={"include_usage": True},
    ),
    "tools": _example(
        "Tools, first turn",
        "The answer ends with a call of `get_weather`. The arguments are JSON.",
        messages=[_user("Do I need a coat in Oslo?")],
        tools=[WEATHER],
    ),
    "tools_second_turn": _example(
        "Tools, second turn",
        "The request repeats the assistant's message unchanged; the result of the call follows it.",
        messages=[
            _user("Do I need a coat in Oslo?"),
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": CALL["id"], "content": '{"temperature": -4, "sky": "snow"}'},
        ],
        tools=[WEATHER],
    ),
    "image": _example(
        "An image",
        "The image as a data URL. An https URL works too, unless FETCH_IMAGES is off.",
        messages=[
            _user([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PICTURE}}])
        ],
    ),
    "structured": _example(
        "A structured answer",
        "`content` is JSON that is valid against the schema.",
        messages=[_user("A quick pancake recipe.")],
        response_format={"type": "json_schema", "json_schema": {"name": "recipe", "strict": True, "schema": RECIPE}},
    ),
    "reasoning": _example(
        "Reasoning",
        "More thinking before the answer. The thinking is streamed as `reasoning_content`.",
        messages=[_user("How many primes are there below 60?")],
        reasoning_effort="high",
        stream=True,
    ),
}

RESPONSES: dict[str, Json] = {
    "hello": _example("Hello", "A minimal request.", input="Say hello in three languages."),
    "streaming": _example(
        "Streaming",
        "A streamed response.",
        instructions="You are a poet of few words.",
        input="A haiku about a lighthouse.",
        stream=True,
    ),
    "tools": _example(
        "Tools",
        "The response ends with an item that calls `get_weather`.",
        input=[{"role": "user", "content": "Do I need a coat in Oslo?"}],
        tools=[{"type": "function", **WEATHER["function"]}],
    ),
    "image": _example(
        "An image",
        "The image as a data URL. An https URL works too, unless FETCH_IMAGES is off.",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": PICTURE},
                ],
            }
        ],
    ),
    "structured": _example(
        "A structured answer",
        "The text is JSON that is valid against the schema.",
        input="A quick pancake recipe.",
        text={"format": {"type": "json_schema", "name": "recipe", "strict": True, "schema": RECIPE}},
    ),
}

COMPLETIONS: dict[str, Json] = {
    "continue": _example(
        "Continue a text",
        "The answer is the continuation of the text.",
        prompt="The three primary colours are",
        max_tokens=500,
    ),
    "fill": _example(
        "Fill a gap",
        "The answer fills the gap between `prompt` and `suffix`, as editors request it.",
        prompt="def add(a, b):\n",
        suffix="\n\nprint(add(1, 2))",
        stop="\n\n",
        stream=True,
    ),
}
MESSAGES = {"hello": _example("A question", max_tokens=500, messages=[_user("Hello!")])}

# By operation id.
REQUESTS: dict[str, dict[str, Json]] = {
    "createChatCompletion": CHAT,
    "createCompletion": COMPLETIONS,
    "createResponse": RESPONSES,
    "countInputTokens": RESPONSES,
    "createMessage": MESSAGES,
    "countTokens": MESSAGES,
    "postChat": _only(prompt="What is a monad, in a sentence?"),
    "postCode": _only(prompt="What is in this folder, and which file is the largest?", stream=True),
    "postAnalyze": _only(prompt="What is in this file?", context_files=["welcome.txt"]),
    "postFileRead": _only(path="welcome.txt"),
    "postBash": _only(command="ls -l"),
    "createKey": _only(name="notes-app", scopes=["chat"], requests_per_minute=20, usd_per_day=5),
    "changeKey": _only(disabled=True),
}
