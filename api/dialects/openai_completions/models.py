"""The structs of legacy completions, as OpenAI documents them (https://platform.openai.com/docs/api-reference/completions)."""

from typing import Annotated, Literal

from msgspec import UNSET, Struct, UnsetType

from api.core.schema import TokenLimit, doc
from api.dialects.openai_common import ChatUsage, IncludeUsage, OpenAIRequest, StopTexts

type EndReason = Literal["stop", "length", "content_filter"]


class CompletionRequest(OpenAIRequest, frozen=True, kw_only=True):
    """A text for the model to continue.

    `null` is the same as an absent field. Unknown fields are ignored.
    """

    prompt: Annotated[
        str | list[str | int | list[int]],
        doc(
            "The text, or a list of texts, each of which is completed. Token arrays are rejected.",
            items={"type": "string"},
            minItems=1,
        ),
    ]
    suffix: Annotated[
        str | None, doc("The text after a gap; the answer fills the gap between `prompt` and `suffix`.")
    ] = None
    max_tokens: Annotated[TokenLimit | None, doc("The most output tokens, thinking included. Default: no limit.")] = (
        None
    )
    stop: StopTexts = None
    n: Annotated[int | None, doc("The number of answers to each prompt.")] = None
    best_of: Annotated[int | None, doc("Must equal `n`.")] = None
    echo: Annotated[bool | None, doc("Whether the answer starts with the prompt.")] = None
    stream_options: IncludeUsage = None


class TextChoice(Struct, frozen=True):
    """An answer; in a stream, a chunk of it."""

    text: Annotated[str, doc("The text; in a stream, the next part of it.")]
    index: Annotated[int, doc("The index of the answer, from 0.")]
    finish_reason: Annotated[
        EndReason | None,
        doc(
            "Why the answer ended: `stop`: it is complete or reached a `stop` text; `length`: it reached the token limit; `content_filter`: the service refused to continue. In a stream, null until then."
        ),
    ] = None
    logprobs: Annotated[None, doc("Always null.")] = None


class TextCompletion(Struct, frozen=True, kw_only=True):
    """An answer; in a stream, a chunk of it."""

    id: Annotated[str, doc("The id of the answer, the same in every chunk.", pattern="^cmpl-")]
    object: Annotated[Literal["text_completion"], doc("The type of the object.")] = "text_completion"
    created: Annotated[int, doc("When the answer started, in seconds since 1970.")]
    model: Annotated[str, doc("The full id of the model that answers.")]
    choices: Annotated[
        list[TextChoice],
        doc("The answers, `n` to each prompt, in the order of the prompts; in a stream, the next parts."),
    ]
    usage: Annotated[
        ChatUsage | UnsetType | None,
        doc("The token usage of all answers; in a stream, only with `include_usage`, in the last chunk."),
    ] = UNSET
