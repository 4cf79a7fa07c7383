"""A legacy completion request as Turns, one for each prompt. Pure.

Law: the prompt reaches the model whole, as a user's text. No current model completes text by itself, so a system text of
this server's says that it is to be continued, or that a gap in it is to be filled; `CONTINUE` and `FILL` are its words.
"""

from itertools import chain, repeat

import msgspec
from msgspec import Struct

from api.conversation.fields import budget, choices, decoded, most_tokens, stops
from api.conversation.parameters import COMPLETIONS, Policy, checked
from api.core.problems import Problem, invalid
from api.dialects.openai_completions.models import CompletionRequest
from shared.turn import Message, Text, Turn

CONTINUE = (
    "You complete text. Reply with what comes next after the user's text, beginning at its very last character, and "
    "with nothing else: do not repeat any of it, do not explain, and put no code fence around your reply. If the text "
    "asks for something, reply with that alone."
)
FILL = (
    "You fill a gap in a text, such as a file that is open in an editor. The user gives the text before the gap in "
    "<prefix> and the text after it in <suffix>. Reply with what stands in the gap, so that prefix, reply and suffix "
    "make one text, and with nothing else: do not repeat prefix or suffix, do not explain, and put no code fence around "
    "your reply."
)

_fields = msgspec.json.Decoder(dict[str, object])
_request = msgspec.json.Decoder(CompletionRequest)


class CompletionCall(Struct, frozen=True):
    """A request, understood. ignored: the names of the parameters that were sent and mean nothing here."""

    model: str | None
    prompts: tuple[str, ...]
    suffix: str
    max_tokens: int | None
    stop: tuple[str, ...]
    choices: int
    echo: bool
    max_budget_usd: float | None
    stream: bool
    include_usage: bool
    ignored: tuple[str, ...]

    def turns(self, model: str) -> list[Turn]:
        """A turn for each answer: the answers to the first prompt, then those to the next."""
        return list(chain.from_iterable(repeat(self._turn(model, prompt), self.choices) for prompt in self.prompts))

    def echoes(self) -> list[str]:
        """What each answer begins with."""
        return [prompt if self.echo else "" for prompt in self.prompts for _ in range(self.choices)]

    def _turn(self, model: str, prompt: str) -> Turn:
        text = f"<prefix>{prompt}</prefix>\n<suffix>{self.suffix}</suffix>" if self.suffix else prompt
        return Turn(
            model=model,
            messages=(Message("user", (Text(text),)),),
            system=(FILL if self.suffix else CONTINUE,),
            max_tokens=self.max_tokens,
            stop=self.stop,
            max_budget_usd=self.max_budget_usd,
        )


def decode(body: bytes, policy: Policy) -> CompletionCall:
    """Read the body of POST /v1/completions. Raises Problem (400), with the field at fault in `param`."""
    ignored = checked(COMPLETIONS, decoded(body, _fields), strict=policy.strict)
    request = decoded(body, _request)
    if request.stream_options is not None and not request.stream:
        raise invalid("`stream_options` goes with `stream: true` only.", "stream_options")
    number = choices(request.n, policy.most_choices)
    if request.best_of not in (None, number):
        raise unsupported(
            "`best_of` is supported where it is `n`: nothing tells here which answer is the best.", "best_of"
        )
    suffix = request.suffix or ""
    prompts = texts(request.prompt, policy.most_choices // number)
    if not suffix and not all(prompt.strip() for prompt in prompts):
        raise invalid("`prompt` must say something, or come with a `suffix`.", "prompt")
    return CompletionCall(
        model=request.model,
        prompts=prompts,
        suffix=suffix,
        max_tokens=most_tokens(request.max_tokens, "max_tokens"),
        stop=stops(request.stop),
        choices=number,
        echo=bool(request.echo),
        max_budget_usd=budget(request.max_budget_usd),
        stream=bool(request.stream),
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        ignored=ignored,
    )


def texts(prompt: str | list[str | int | list[int]], most: int) -> tuple[str, ...]:
    """The prompts. Raises Problem."""
    found = [prompt] if isinstance(prompt, str) else prompt
    for index, text in enumerate(found):
        if not isinstance(text, str):
            where = "prompt" if isinstance(text, int) else f"prompt[{index}]"
            raise unsupported(
                f"`{where}` holds tokens of a vocabulary that the models here do not have. Send text.", where
            )
    if not 1 <= len(found) <= most:
        raise invalid(
            f"`prompt` may hold 1 to {most} texts, not {len(found)}: each is answered `n` times, and the server's owner "
            "sets the limit of all answers with MAX_CHOICES.",
            "prompt",
        )
    return tuple(text for text in found if isinstance(text, str))


def unsupported(message: str, param: str) -> Problem:
    """A request for what can't be had."""
    return invalid(message, param, "unsupported_parameter")
