"""The wire checklist as data: what real clients trip on, one behaviour a number, and the files whose tests prove it.

A test carries the numbers it proves: `@pytest.mark.wire(17)`; a golden file has them in its `# wire:` line.
`tests/docs/test_requirements.py` fails on a number without a test, on a test with a number that is not here, and on a
file that does not prove what this says it proves. `elsewhere` is why a number is not this endpoint's to prove.
"""

from typing import NamedTuple


class Requirement(NamedTuple):
    """One behaviour. proven: files under `tests/`, or a folder of golden files."""

    behaviour: str
    test_files: tuple[str, ...] = ()
    elsewhere: str = ""


GOLDEN = "golden/openai_chat"
GOLDEN_RESPONSES = "golden/openai_responses"
RESPONSES_DECODE = "unit/api/dialects/openai_responses/test_decode.py"
RESPONSES_SDK = "clients/test_openai_responses.py"
AGENTS = "clients/test_openai_agents.py"
DECODE = "unit/api/dialects/openai_chat/test_decode.py"
ENCODE = "unit/api/dialects/openai_chat/test_encode.py"
TOOLING = "unit/api/conversation/test_tools.py"
ANSWER = "unit/executor/claude/output/test_parser.py"
RECORDED = "unit/api/dialects/test_recorded_requests.py"
REALLY_SENT = "integration/test_recorded_clients.py"
EDGES = "unit/api/test_app.py"
RESPOND = "unit/api/http/test_event_stream.py"

WIRE_REQUIREMENTS: dict[int, Requirement] = {
    # what is sent
    1: Requirement("Unknown fields are accepted at every level and mean nothing.", (DECODE, RECORDED)),
    2: Requirement(
        "Both names of the token limit are legal at once; `max_completion_tokens` wins.", (DECODE, RECORDED)
    ),
    3: Requirement("Every role is known; several system texts anywhere are all kept, in order.", (DECODE,)),
    4: Requirement(
        "Content is a text, parts, empty or null; parts stay apart; what is not supported is named.",
        (DECODE, "unit/api/conversation/test_content.py"),
    ),
    5: Requirement("Assistant messages may have calls only, be empty, or come last.", (DECODE,)),
    6: Requirement(
        "Results answer calls by id, in any form; unknown, second or missing ones are a 400 with the ids.",
        ("unit/api/conversation/test_drafts.py", DECODE),
    ),
    7: Requirement("`tools: []` and `tools: null` are no tools.", (TOOLING, RECORDED)),
    8: Requirement(
        "Tools and bodies in the forms of Responses and Anthropic are understood, custom tools too.",
        (TOOLING, "unit/api/conversation/test_compat.py", RECORDED, GOLDEN),
    ),
    9: Requirement(
        "Tool names come back to the character; none reaches a tool of the CLI's own.",
        ("unit/executor/claude/request/test_tool_names.py", TOOLING),
    ),
    10: Requirement("Every form of `tool_choice` is enforced, or refused by name.", (TOOLING, ANSWER)),
    11: Requirement("Without parallel calls an answer has one at most.", (TOOLING, ANSWER)),
    12: Requirement("`functions` and `function_call` work both ways.", (TOOLING, DECODE, GOLDEN)),
    13: Requirement(
        "A structured answer is its JSON and nothing else, or a refusal.",
        (ANSWER, "unit/executor/claude/request/test_schema.py", "unit/api/conversation/test_schemas.py", GOLDEN),
    ),
    14: Requirement(
        "Four stop texts and more end the answer before them, wherever deltas are cut.",
        ("unit/executor/claude/output/test_stop.py", DECODE, GOLDEN),
    ),
    15: Requirement(
        "`n` is answered side by side; what can't be done is refused by name, and its harmless values pass.",
        ("unit/api/executors/test_stream_merger.py", "unit/api/conversation/test_parameters.py", GOLDEN),
    ),
    16: Requirement(
        "Sampling parameters are ignored by name, in range; a strict owner refuses them.",
        ("unit/api/conversation/test_parameters.py", DECODE),
    ),
    17: Requirement("`stream` null or absent is false; `stream_options` goes with a stream only.", (DECODE,)),
    18: Requirement("Every `reasoning_effort`, and the other gateways' form of it, is one of the CLI's.", (DECODE,)),
    19: Requirement(
        "A model's name is an alias, a well-known name, the CLI's own or a full id, in any case; else 404.",
        ("unit/api/models/test_catalogue.py", EDGES),
    ),
    20: Requirement(
        "Packed bodies, byte order marks, any content type; broken JSON is 400, too much 413.",
        ("unit/api/http/test_request_body.py", DECODE, EDGES),
    ),
    # what is answered
    21: Requirement("A whole answer has every field that clients read.", (ENCODE, GOLDEN)),
    22: Requirement(
        "Content is null beside calls or a refusal only; what there is none of is left out.", (ENCODE, GOLDEN)
    ),
    23: Requirement("The prompt's tokens include the cache's; details and totals add up.", (ENCODE, GOLDEN)),
    24: Requirement(
        "Each reason to stop is one of OpenAI's, and none of the service's own gets through.", (ENCODE, ANSWER, GOLDEN)
    ),
    25: Requirement("Arguments are JSON, as text, and `{}` where there are none.", (ANSWER, DECODE, GOLDEN)),
    26: Requirement("Thinking is `reasoning_content`, never content.", (ENCODE, GOLDEN)),
    27: Requirement("Every 200 has its `choices`; an error is never one.", (ENCODE, EDGES)),
    # what is streamed
    28: Requirement(
        "The status is decided before the first byte; headers keep proxies from holding a stream back.",
        (RESPOND, EDGES, GOLDEN),
    ),
    29: Requirement("The first chunk has the role and an empty content; the role is said once.", (ENCODE, GOLDEN)),
    30: Requirement("All chunks have one id, time and model.", (ENCODE, GOLDEN)),
    31: Requirement(
        "The finish reason once, last; then usage if asked for; then `[DONE]` once, after errors too.", (ENCODE, GOLDEN)
    ),
    32: Requirement(
        "Usage is in a stream only if it was asked for, in a last chunk without choices.", (ENCODE, GOLDEN)
    ),
    33: Requirement("Calls are counted from 0; id and name once, then pieces of arguments.", (ENCODE, ANSWER, GOLDEN)),
    34: Requirement("Text before calls is kept.", (ANSWER, GOLDEN)),
    35: Requirement("A silent stream is kept alive by comments, while it waits and while it thinks.", (RESPOND,)),
    36: Requirement(
        "A failure in the middle of a stream is an error event, then `[DONE]`; never text.", (ENCODE, RESPOND, GOLDEN)
    ),
    37: Requirement("Every character survives, and an event is one line to every reader.", (ENCODE, GOLDEN)),
    38: Requirement(
        "Each delta goes out as it comes; a client that does not read holds the model back.",
        (RESPOND, "unit/executor/claude/output/test_stop.py"),
    ),
    39: Requirement(
        "A client that disconnects ends its job, streamed or not, queued or not.",
        (RESPOND, "unit/api/executors/test_stream_merger.py", "integration/test_client_disconnect.py"),
    ),
    # errors and headers
    40: Requirement("Every error is OpenAI's envelope, the framework's own too.", (ENCODE, EDGES, GOLDEN)),
    41: Requirement(
        "Each kind of failure has the status and code that libraries act on.",
        (ENCODE, "unit/executor/claude/output/test_failure.py", EDGES),
    ),
    42: Requirement(
        "`retry-after`, `retry-after-ms` and `x-should-retry` say whether and when to try again.",
        (ENCODE, "unit/executor/claude/output/test_failure.py", GOLDEN),
    ),
    43: Requirement("Every response has an id, the caller's own if it is sane, and its processing time.", (EDGES,)),
    44: Requirement(
        "No error holds words of the CLI's, paths or prompts.", ("unit/executor/claude/output/test_failure.py", ENCODE)
    ),
    45: Requirement(
        "Allowed pages are answered before they have a key, and can read errors; others read nothing.", (EDGES,)
    ),
    46: Requirement("Probes are answered in JSON, HEAD as GET; unknown addresses are a JSON 404.", (EDGES,)),
    # other endpoints
    47: Requirement("`/v1/models` in both vendors' forms.", ("clients/test_anthropic_sdk.py",)),
    48: Requirement(
        "Background calls of chat pages go to a cheap model.", elsewhere="the chat page's own setting, in the manual"
    ),
    49: Requirement(
        "Legacy completions are answered, `suffix` too; embeddings and other known paths are a clear 404.",
        ("unit/api/dialects/openai_completions/test_completions.py", "clients/test_openai_completions.py"),
    ),
    50: Requirement("Clients that only know `/v1/responses` are served.", (RESPONSES_SDK, AGENTS, REALLY_SENT)),
    51: Requirement("The order of the events of a streamed response.", (GOLDEN_RESPONSES, RESPONSES_SDK)),
    52: Requirement("The items of a response's input.", (RESPONSES_DECODE, RESPONSES_SDK, GOLDEN_RESPONSES)),
    53: Requirement(
        "Anthropic's messages, their stream and `count_tokens`.", ("golden/anthropic", "clients/test_anthropic_sdk.py")
    ),
    # behaviour behind them all
    54: Requirement("Between bursts of arguments a stream is kept alive.", (RESPOND,)),
    55: Requirement("Words of two rounds of the model's are parted by a blank line.", (ANSWER,)),
    56: Requirement(
        "Nothing of the CLI's own gets through, and no client's text is a command to it.",
        (ANSWER, "unit/executor/claude/output/test_failure.py", GOLDEN),
    ),
    57: Requirement("An empty answer is empty, and tags in an answer stay.", (ANSWER, GOLDEN)),
    58: Requirement(
        "Numbers stay as they were written.", (DECODE, "unit/executor/claude/request/test_schema.py", ENCODE)
    ),
    59: Requirement(
        "HTTP/1.1: connections are kept, closed and asked first as libraries and proxies do it.",
        ("integration/test_connections.py", RESPOND),
    ),
    60: Requirement(
        "A request has a longest time, and ends with 504 or an error event.", ("integration/test_real_errors.py",)
    ),
    61: Requirement(
        "The requests of the clients there are, and the official library's helpers, work.",
        (RECORDED, REALLY_SENT, ENCODE),
    ),
    # seen on current versions of clients
    62: Requirement("`thread` of Anthropic's tool runner.", ("clients/test_anthropic_sdk.py",)),
    63: Requirement("Anthropic's headers and request ids.", ("clients/test_anthropic_sdk.py",)),
    64: Requirement("A 401 has the words that LiteLLM looks for.", (EDGES,)),
    65: Requirement("A history comes back with nulls and fields of the libraries' own.", (RECORDED,)),
    66: Requirement("`Accept` does not decide about streaming.", ("integration/test_connections.py",)),
    67: Requirement(
        "Explicit nulls and defaults are legal everywhere.", (RECORDED, "unit/api/conversation/test_parameters.py")
    ),
    68: Requirement("A history may hold calls while nothing is on offer.", (RECORDED,)),
    69: Requirement("An alias such as `gpt-4o` behaves like the real thing.", elsewhere="the whole of this endpoint"),
    70: Requirement("The usage of responses.", (RESPONSES_SDK, GOLDEN_RESPONSES)),
    71: Requirement(
        "Codex's tools, items and retries.", (RESPONSES_DECODE, RESPONSES_SDK, GOLDEN_RESPONSES, REALLY_SENT)
    ),
    72: Requirement("Codex's WebSocket is turned down at once.", (RESPONSES_SDK,)),
    73: Requirement(
        "Claude Code as a client.",
        (
            "clients/test_claude_code.py",
            "unit/api/dialects/anthropic/test_system.py",
            "golden/anthropic",
            "clients/test_anthropic_sdk.py",
        ),
    ),
    74: Requirement("MCP clients of both eras are answered, and probes of the new one.", ("clients/test_mcp.py",)),
    75: Requirement(
        "Small requests beside the turn, two user messages in a row, empty content beside calls.", (RECORDED,)
    ),
    76: Requirement(
        "The AI SDK's Anthropic provider.",
        (
            "clients/test_anthropic_sdk.py",
            "unit/api/dialects/anthropic/test_decode.py",
            "clients/test_manual_examples.py",
        ),
    ),
    77: Requirement("Schemas carry `$schema` of either dialect.", ("unit/api/conversation/test_schemas.py", RECORDED)),
    78: Requirement(
        "Parameters that a version of Anthropic's interface took away.", ("unit/api/dialects/anthropic/test_decode.py",)
    ),
    79: Requirement(
        "A cut request's place is free for the next.",
        ("integration/test_client_disconnect.py", "clients/test_mcp_jobs.py"),
    ),
    80: Requirement("A `thread` that is neither served nor refused.", ("clients/test_anthropic_sdk.py",)),
}
