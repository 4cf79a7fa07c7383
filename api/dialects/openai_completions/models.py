"""The structs of legacy completions, as OpenAI documents them (https://platform.openai.com/docs/api-reference/completions)."""

from typing import Annotated, Literal

from msgspec import UNSET, Struct, UnsetType

from api.conversation.fields import MAX_STOP_SEQUENCES
from api.conversation.parts import StreamOptions
from api.core.schema import TOKENS, US_DOLLARS, doc
from api.dialects.openai_common import ChatUsage

type EndReason = Literal["stop", "length", "content_filter"]


class CompletionRequest(Struct, frozen=True, kw_only=True):
    """A text to continue.

    `null` is the same as leaving a field out; fields that are not listed here are accepted and ignored.
    """

    prompt: Annotated[
        str | list[str | int | list[int]],
        doc(
            "The text, or several, each of which is completed. Token arrays are refused.",
            items={"type": "string"},
            minItems=1,
        ),
    ]
    model: Annotated[str | None, doc("A name of GET /v1/models; DEFAULT_MODEL without one.")] = None
    suffix: Annotated[str | None, doc("The text after a gap; the answer is what belongs between `prompt` and it.")] = (
        None
    )
    max_tokens: Annotated[
        int | None,
        doc(
            "The most tokens that may be written, thinking included; as many as the model likes if left out.", **TOKENS
        ),
    ] = None
    stop: Annotated[
        str | list[str] | None,
        doc("A text, or several, that end the answer just before them.", maxItems=MAX_STOP_SEQUENCES),
    ] = None
    n: Annotated[int | None, doc("How many answers are wanted to each prompt.")] = None
    best_of: Annotated[int | None, doc("Only the value of `n`.")] = None
    echo: Annotated[bool | None, doc("Begin the answer with the prompt.")] = None
    stream: Annotated[bool | None, doc("Send the answer as it is written, as server-sent events.")] = None
    stream_options: Annotated[
        StreamOptions | None, doc("Only with `stream: true`. `include_usage` asks for a last piece with the tokens.")
    ] = None
    max_budget_usd: Annotated[float | None, doc("What an answer may cost, in US dollars.", **US_DOLLARS)] = None


class TextChoice(Struct, frozen=True):
    """An answer; in a stream, a part of one."""

    text: Annotated[str, doc("The text; in a stream, more of it.")]
    index: Annotated[int, doc("Which of the answers this is, from 0.")]
    finish_reason: Annotated[
        EndReason | None,
        doc(
            "Why it ended: it was done or met a `stop` text (`stop`), reached the limit (`length`), or was held back (`content_filter`); in a stream, null until then."
        ),
    ] = None
    logprobs: Annotated[None, doc("Always null.")] = None


class TextCompletion(Struct, frozen=True, kw_only=True):
    """An answer; in a stream, a part of one."""

    id: Annotated[str, doc("This answer's id, the same in every piece.", pattern="^cmpl-")]
    object: Annotated[Literal["text_completion"], doc("What this is.")] = "text_completion"
    created: Annotated[int, doc("When it began, in seconds since 1970.")]
    model: Annotated[str, doc("The model that answers.")]
    choices: Annotated[
        list[TextChoice], doc("The answers, `n` to each prompt, in the prompts' order; in a stream, what is new.")
    ]
    usage: Annotated[
        ChatUsage | UnsetType | None,
        doc("The tokens of all answers; in a stream, only with `include_usage`, in the last piece."),
    ] = UNSET
