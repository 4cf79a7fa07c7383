"""Legacy completions: what a request means, what is said of an answer, and what is told to who looks for what isn't here."""

import json
from typing import Any

import pytest

from api.conversation.parameters import Policy
from api.core.problems import Problem
from api.dialects.openai_completions.decode import CONTINUE_PROMPT, FILL_PROMPT, CompletionTurnRequest, decode
from api.dialects.openai_completions.encode import CompletionEncoder
from api.dialects.openai_parameters import COMPLETIONS_PARAMETERS
from api.dialects.unsupported import UNSUPPORTED_ENDPOINTS, find_unsupported
from shared.errors import ErrorKind
from shared.events import Done, Failed, Started, TextDelta, ThinkingDelta, Usage
from shared.turn import Text


def read(policy: Policy | None = None, **fields: Any) -> CompletionTurnRequest:
    return decode(json.dumps(fields).encode(), policy or Policy())


def refused(**fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        read(**fields)
    assert caught.value.status == 400
    return caught.value


def said(call: CompletionTurnRequest) -> list[tuple[tuple[str, ...], str]]:
    """The system texts and the words of each turn."""
    found: list[tuple[tuple[str, ...], str]] = []
    for turn in call.build_turns("sonnet"):
        [message] = turn.messages
        [block] = message.content
        assert isinstance(block, Text)
        found.append((turn.system, block.text))
    return found


def test_a_prompt_reaches_the_model_whole_with_the_word_to_continue_it():
    """Byte for byte, white space at its ends too."""
    assert said(read(prompt=" def f(x):\n")) == [((CONTINUE_PROMPT,), " def f(x):\n")]


@pytest.mark.wire(49)
def test_a_suffix_makes_it_a_gap_to_be_filled():
    """Both sides of the gap are told apart."""
    assert said(read(prompt="a = ", suffix="\nb = 2")) == [
        ((FILL_PROMPT,), "<prefix>a = </prefix>\n<suffix>\nb = 2</suffix>"),
    ]


def test_an_empty_suffix_is_none():
    """As with OpenAI's service."""
    assert said(read(prompt="a", suffix="")) == said(read(prompt="a", suffix=None)) == said(read(prompt="a"))


def test_each_prompt_has_n_answers_in_the_prompts_order():
    """The index counts through all of them."""
    call = read(prompt=["a", "b"], n=2, echo=True)
    assert [text for _, text in said(call)] == ["a", "a", "b", "b"]
    assert call.list_echoes() == ["a", "a", "b", "b"]


def test_without_a_limit_the_model_may_write_what_it_likes():
    """OpenAI's 16 tokens would cut every answer off in its thoughts."""
    assert read(prompt="a").request.max_tokens is None
    assert read(prompt="a", max_tokens=7).request.max_tokens == 7


@pytest.mark.wire(49)
def test_an_editor_s_completion_while_one_types_is_taken():
    """In the shape of Continue's: a prompt with the marks of other models, and more stop texts than OpenAI takes."""
    marks = ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", "<|endoftext|>", "</fim_middle>", "</code>"]
    stop = [*marks, "\n\n", "\r\n\r\n", "/src/", "#- coding: utf-8", "```", "\ndef", "\nclass"]
    prompt = "<fim_prefix>def add(a, b):\n    <fim_suffix>\n\nadd(1, 2)<fim_middle>"
    call = read(model="haiku", prompt=prompt, max_tokens=2048, temperature=0.01, stream=True, stop=stop)
    assert said(call) == [((CONTINUE_PROMPT,), prompt)]
    [turn] = call.build_turns("haiku")
    assert (turn.stop, turn.max_tokens, call.ignored) == (tuple(stop), 2048, ("temperature",))


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"prompt": [1, 2]}, "prompt", "Send text"),
        ({"prompt": ["a", [1, 2]]}, "prompt[1]", "Send text"),
        ({"prompt": []}, "prompt", "1 to 4 texts"),
        ({"prompt": ["a"] * 5}, "prompt", "MAX_CHOICES"),
        ({"prompt": ["a"] * 3, "n": 2}, "prompt", "1 to 2 texts"),
        ({"prompt": " "}, "prompt", "must have text"),
        ({}, "prompt", "missing"),
        ({"prompt": 7}, "prompt", "Expected"),
        ({"prompt": "a", "n": 5}, "n", "MAX_CHOICES"),
        ({"prompt": "a", "best_of": 3}, "best_of", "`n`"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens", "at least 1"),
        ({"prompt": "a", "stop": ["a"] * 65}, "stop", "up to 64"),
        ({"prompt": "a", "logit_bias": {"50256": -100}}, "logit_bias", "not supported"),
        ({"prompt": "a", "temperature": 3}, "temperature", "from 0 to 2"),
        ({"prompt": "a", "max_budget_usd": -1}, "max_budget_usd", "more than 0"),
        ({"prompt": "a", "stream_options": {"include_usage": True}}, "stream_options", "stream: true"),
    ],
)
def test_what_can_t_be_done_is_refused_by_name(fields: dict[str, Any], param: str, words: str):
    """With what to do about it."""
    problem = refused(**fields)
    assert problem.param == param
    assert words in problem.message


def test_explicit_nulls_and_harmless_values_pass():
    """What libraries send by themselves."""
    nulls = dict.fromkeys(set(COMPLETIONS_PARAMETERS) - {"prompt"})
    assert read(prompt="a", **nulls) == read(prompt="a")
    harmless = read(prompt="a", best_of=1, n=1, logit_bias={})
    assert (harmless.build_turns("m"), harmless.ignored) == (read(prompt="a").build_turns("m"), ())


def test_ignored_parameters_are_named_or_refused():
    """As the server's owner has it."""
    assert read(prompt="a", temperature=0, seed=1).ignored == ("temperature", "seed")
    with pytest.raises(Problem, match="REJECT_UNSUPPORTED_PARAMS"):
        read(Policy(strict=True), prompt="a", temperature=0)


def made(*echoes: str, include_usage: bool = False) -> CompletionEncoder:
    return CompletionEncoder("cmpl-1", 7, "sonnet", echoes, include_usage=include_usage)


def pieces(stream: bytes) -> list[Any]:
    *events, last = [event.removeprefix("data: ") for event in stream.decode().split("\n\n") if event]
    assert last == "[DONE]"
    return [json.loads(event) for event in events]


def test_a_stream_says_each_word_once_and_the_reason_last():
    """With one id, time and model; thinking is not said."""
    encoder = made("", include_usage=True)
    events = (Started("claude-x"), ThinkingDelta("hm"), TextDelta("a"), TextDelta("b"), Done("max_tokens", Usage(3, 2)))
    found = pieces(b"".join(encoder.encode_event(event) for event in events))
    assert [(c["text"], c["finish_reason"]) for piece in found for c in piece["choices"]] == [
        ("a", None),
        ("b", None),
        ("", "length"),
    ]
    assert {(p["id"], p["created"], p["model"], p["object"]) for p in found} == {
        ("cmpl-1", 7, "claude-x", "text_completion")
    }
    assert [piece["usage"] and piece["usage"]["total_tokens"] for piece in found] == [None, None, None, 5]


def test_usage_is_in_a_stream_only_if_it_was_asked_for():
    """And then in the last piece."""
    found = pieces(b"".join(made("").encode_event(event) for event in (TextDelta("a"), Done("end_turn", Usage()))))
    assert all("usage" not in piece for piece in found)


def test_an_echo_goes_before_the_answer_in_both_forms():
    """The prompt, byte for byte."""
    encoder = made("in ")
    stream = b"".join(
        encoder.encode_event(event) for event in (Started("m"), TextDelta("out"), Done("end_turn", Usage()))
    )
    assert "".join(c["text"] for piece in pieces(stream) for c in piece["choices"]) == "in out"
    assert json.loads(encoder.encode_answer())["choices"] == [
        {"text": "in out", "index": 0, "finish_reason": "stop", "logprobs": None}
    ]


def test_a_stream_of_several_ends_when_all_have_ended():
    """`[DONE]` once."""
    encoder = made("", "")
    assert b"[DONE]" not in encoder.encode_event(Done("end_turn", Usage(1, 1)), 1)
    assert encoder.encode_event(Done("refusal", Usage(1, 1)), 0).endswith(b"data: [DONE]\n\n")
    whole = json.loads(encoder.encode_answer())
    assert [choice["finish_reason"] for choice in whole["choices"]] == ["content_filter", "stop"]
    assert whole["usage"]["total_tokens"] == 4


def test_a_failure_amid_a_stream_is_an_error_event_and_the_end():
    """In OpenAI's envelope."""
    [error] = pieces(made("").encode_event(Failed(ErrorKind.UPSTREAM_CUT)))
    assert error["error"]["code"] == "upstream_cut"


MORE = (
    *(
        "/v1/conversations",
        "/v1/conversations/c_1/items",
        "/v1/chatkit/sessions",
        "/v1/skills",
        "/v1/engines/x/completions",
    ),
    *(
        "/v1/responses/compact",
        "/v1/messages/batches",
        "/v1/messages/batches/b_1",
        "/v1/complete",
    ),
)


@pytest.mark.wire(49)
@pytest.mark.parametrize(
    "path", ["/v1/embeddings", "/embeddings", "/v1/images/generations", "/v1/threads/t_1/runs/", *MORE]
)
def test_what_claude_does_not_have_is_a_404_of_its_own(path: str):
    """With what to use in its place."""
    problem = find_unsupported(path)
    assert problem
    assert (problem.status, problem.code, problem.retryable) == (404, "not_supported", False)
    assert all(words[0].isupper() and not words.endswith(".") for words in UNSUPPORTED_ENDPOINTS.values())


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/embedding", "/v2/embeddings", "/v1/chat/completions", "/v1//x", "/v1/responses/r_1", "/v1/batch"],
)
def test_a_wrong_address_is_only_that(path: str):
    """Nothing is made up of it."""
    assert find_unsupported(path) is None
