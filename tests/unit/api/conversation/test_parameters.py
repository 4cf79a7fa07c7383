"""Every parameter is supported, ignored by name, accepted or refused, as one table says."""

from typing import Any

import msgspec
import pytest

from api.conversation.parameters import Parameter, build_parameter_headers, check_parameters
from api.core.problems import Problem
from api.dialects.openai_chat.models import ChatCompletionRequest
from api.dialects.openai_parameters import CHAT_PARAMETERS

# The parameters that OpenAI documents (https://platform.openai.com/docs/api-reference/chat/create).
DOCUMENTED = [
    "messages",
    "model",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
]
# Those of OpenRouter's and other gateways' that clients are known to send.
GATEWAYS = [
    *("include_reasoning", "min_p", "models", "plugins", "previous_response_id", "provider", "reasoning"),
    *("repetition_penalty", "route", "thinking", "top_a", "top_k", "transforms", "usage"),
]


def problem(fields: dict[str, Any], *, strict: bool = False) -> Problem:
    with pytest.raises(Problem) as caught:
        check_parameters(CHAT_PARAMETERS, fields, strict=strict)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.wire(15, 16)
def test_every_documented_parameter_is_in_the_table():
    """With what becomes of it; those besides are other gateways', and one of ours."""
    assert set(CHAT_PARAMETERS) == {*DOCUMENTED, *GATEWAYS, "max_budget_usd"}


def test_what_the_table_says_is_honoured_is_read_and_nothing_else_is():
    """The table and the request's struct can't drift apart."""
    supported = {
        name for name, parameter in CHAT_PARAMETERS.items() if parameter.treatment in {"supported", "emulated"}
    }
    assert supported == {field.encode_name for field in msgspec.structs.fields(ChatCompletionRequest)}


def test_every_parameter_that_does_not_do_what_it_says_has_its_reason():
    """The manual and the refusals repeat it."""
    assert all(p.note for p in CHAT_PARAMETERS.values() if p.treatment in {"ignored", "emulated", "rejected"})


@pytest.mark.wire(15)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logit_bias", {"50256": -100}),
        ("audio", {"voice": "alloy", "format": "mp3"}),
        ("modalities", ["text", "audio"]),
        ("modalities", []),
        ("web_search_options", {}),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name(name: str, value: object):
    """Also where the owner is not strict: the answer would not be what was asked for."""
    for strict in (False, True):
        refused = problem({name: value}, strict=strict)
        assert (refused.code, refused.param) == ("unsupported_parameter", name)
        assert CHAT_PARAMETERS[name].note in refused.message


@pytest.mark.wire(15, 67)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("logprobs", False), ("logprobs", None), ("top_logprobs", 0), ("top_logprobs", None)),
        *(("logit_bias", {}), ("logit_bias", None), ("audio", None), ("modalities", ["text"])),
        *(("modalities", None), ("web_search_options", None), ("n", 1), ("temperature", None)),
    ],
)
def test_values_that_ask_for_nothing_pass(name: str, value: object):
    """Clients send defaults and nulls, and mean nothing by them; a strict owner does not mind either."""
    assert check_parameters(CHAT_PARAMETERS, {name: value}, strict=True) == ()


@pytest.mark.wire(16)
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("temperature", 0, 2), ("top_p", 0, 1), ("frequency_penalty", -2, 2), ("presence_penalty", -2, 2)],
)
def test_numbers_that_are_ignored_must_still_be_in_range(name: str, low: int, high: int):
    """A wrong value is a mistake of the client's, whatever becomes of a right one."""
    for value in (low, high, (low + high) / 2):
        assert check_parameters(CHAT_PARAMETERS, {name: value}, strict=False) == (name,)
    for wrong in (low - 0.1, high + 0.1, "1", True, [], {}):
        refused = problem({name: wrong})
        assert (refused.code, refused.param) == ("invalid_value", name)
        assert f"from {low} to {high}" in refused.message


@pytest.mark.wire(16)
def test_what_is_ignored_is_named_in_the_order_of_the_table():
    """For the header; accepted bookkeeping is not among it."""
    sent = {"user": "u", "seed": 1, "top_p": 1.0, "verbosity": "low", "prediction": {}, "store": True, "unknown": 1}
    assert check_parameters(CHAT_PARAMETERS, sent, strict=False) == ("top_p", "seed", "prediction", "verbosity")


@pytest.mark.wire(10, 16)
def test_a_strict_owner_refuses_what_would_be_ignored():
    """The first of them, by name, with the reason and the setting."""
    refused = problem({"seed": 1, "user": "u"}, strict=True)
    assert (refused.code, refused.param) == ("unsupported_parameter", "seed")
    assert "REJECT_UNSUPPORTED_PARAMS" in refused.message
    assert check_parameters(CHAT_PARAMETERS, {"seed": None, "user": "u", "unknown": 1}, strict=True) == ()


def test_another_table_is_another_policy():
    """The rules are the table's, not the code's."""
    table = {"a": Parameter("rejected", "no"), "b": Parameter("supported", "")}
    assert check_parameters(table, {"b": 1, "temperature": 99}, strict=True) == ()
    with pytest.raises(Problem):
        check_parameters(table, {"a": None}, strict=False)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("include.b", "include.b"),
        ("include.a\r\nx-mine: 1", "include.a\\r\\nx-mine: 1"),
        ("include.\x00\x7f", "include.\\x00\\x7f"),
        ("include.\u20ac\U000fd9a1", "include.\\u20ac\\U000fd9a1"),
        ('messages[0]: $["\\u00e9"]', 'messages[0]: $["\\u00e9"]'),
    ],
)
def test_a_clients_own_word_can_stand_in_a_header(name: str, shown: str):
    """It is no second header, and no bytes that HTTP does not have."""
    assert build_parameter_headers((name,), (name,)) == {"x-ignored-parameters": shown, "x-altered-parameters": shown}


def test_names_in_a_header_are_bounded():
    """Clients and proxies refuse headers without an end."""
    header = build_parameter_headers([f"{n}{'n' * 1000}" for n in range(1000)])["x-ignored-parameters"]
    assert len(header) < 5000
    assert header.endswith(", and others")
