"""All parameters of OpenAI's APIs and how the server treats them."""

from api.conversation.parameters import Parameter, build_table, ignored
from api.dialects.openai_chat.models import ChatCompletionRequest
from api.dialects.openai_completions.models import CompletionRequest
from api.dialects.openai_responses.models import ResponsesRequest

# Of every API of OpenAI.
_COMMON = {
    "temperature": ignored("current models do not accept it", 0, 2),
    "top_p": ignored("current models do not accept it", 0, 1),
    "user": Parameter("accepted", ""),
}
# Of chat completions and legacy completions.
_OF_COMPLETIONS = {
    "seed": ignored("the service has no such parameter"),
    "frequency_penalty": ignored("the service has no such parameter", -2, 2),
    "presence_penalty": ignored("the service has no such parameter", -2, 2),
    "top_k": ignored("current models do not accept it"),
    "min_p": ignored("the service has no such parameter"),
    "repetition_penalty": ignored("the service has no such parameter"),
    "logit_bias": Parameter("rejected", "the service has no such parameter", harmless=(None, {})),
}
# Of chat completions and responses.
_OF_CONVERSATIONS = {
    "moderation": ignored("the server does not use a moderation model"),
    "service_tier": Parameter("accepted", ""),
    "prompt_cache_key": Parameter("accepted", "the CLI caches by content"),
    "prompt_cache_retention": Parameter("accepted", "the CLI caches by content"),
    "safety_identifier": Parameter("accepted", ""),
}

CHAT_PARAMETERS = build_table(
    ChatCompletionRequest,
    {
        **_COMMON,
        **_OF_COMPLETIONS,
        **_OF_CONVERSATIONS,
        "n": Parameter("emulated", "up to MAX_CHOICES conversations at the same time"),
        "top_a": ignored("the service has no such parameter"),
        "logprobs": Parameter(
            "ignored", "the service returns none; `logprobs` of the answer is null", harmless=(False,)
        ),
        "top_logprobs": Parameter("ignored", "the service returns none", harmless=(0,)),
        "prediction": ignored("the service does not support predicted output"),
        "verbosity": ignored("the service has no such parameter"),
        "thinking": ignored("send `reasoning_effort` or `reasoning`"),
        "models": ignored("one model answers; send its name as `model`"),
        "route": ignored("one service answers"),
        "provider": ignored("one service answers"),
        "transforms": ignored("the server never truncates a conversation"),
        "plugins": ignored("the server has none"),
        "metadata": Parameter("accepted", ""),
        "store": Parameter("accepted", "chat completions are not stored"),
        "prompt_cache_options": Parameter("accepted", "the CLI caches by content"),
        "usage": Parameter("accepted", "every answer contains tokens and cost"),
        "audio": Parameter("rejected", "the models do not produce audio", harmless=(None,)),
        "modalities": Parameter("rejected", "the models answer in text", harmless=(None, ["text"])),
        "web_search_options": Parameter("rejected", "the server does not offer web search", harmless=(None,)),
        "previous_response_id": Parameter(
            "rejected", "use it with POST /v1/responses, or send all messages", harmless=(None, "")
        ),
    },
)

COMPLETIONS_PARAMETERS = build_table(
    CompletionRequest,
    {
        **_COMMON,
        **_OF_COMPLETIONS,
        "prompt": Parameter("emulated", "a text, or a list of texts; the model is instructed to continue it"),
        "suffix": Parameter("emulated", "the text after the gap; the model is instructed to fill the gap"),
        "n": Parameter(
            "emulated", "several conversations at the same time; MAX_CHOICES limits the total over all prompts"
        ),
        "echo": Parameter("emulated", "the server puts the prompt before the answer"),
        "best_of": Parameter("emulated", "must equal `n`: the server cannot rate answers"),
        "logprobs": ignored("the service returns none; `logprobs` of the answer is null"),
    },
)

RESPONSES_PARAMETERS = build_table(
    ResponsesRequest,
    {
        **_COMMON,
        **_OF_CONVERSATIONS,
        "top_logprobs": Parameter("ignored", "the service returns none; `logprobs` are empty", harmless=(0,)),
        "context_management": ignored("the server never truncates a conversation"),
        "access_programs": ignored("the server has none"),
        "background_options": ignored("background responses start at once"),
        "image": ignored("images are not compressed"),
        "personality": ignored("the models have no selectable personality"),
        "max_tool_calls": Parameter("accepted", "it limits calls of tools that OpenAI runs"),
        "stream_options": Parameter("accepted", "`include_obfuscation`: the server does not pad events"),
        "prompt_cache_options": Parameter("accepted", "the CLI caches by content; `prewarm` is ignored"),
        "client_metadata": Parameter("accepted", ""),
        "conversation": Parameter("rejected", "send `previous_response_id`, or the complete input", harmless=(None,)),
        "prompt": Parameter(
            "rejected", "the server stores no prompts; send `instructions` and `input`", harmless=(None,)
        ),
    },
)
