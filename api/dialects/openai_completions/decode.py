"""Decodes a legacy completion request into Turns, one for each prompt. Pure.

Invariants: the prompt reaches the model unchanged, as a user's text. No current model completes text by itself, so the
server adds a system text: `CONTINUE_PROMPT` to continue the prompt, `FILL_PROMPT` to fill a gap in it.
"""

from itertools import chain, repeat

import msgspec
from msgspec import Struct

from api.conversation.fields import check_choice_count, decode_json, parse_stop_sequences
from api.conversation.parameters import Policy, check_parameters
from api.core.problems import invalid_problem
from api.dialects.openai_completions.models import CompletionRequest
from api.dialects.openai_parameters import COMPLETIONS_PARAMETERS
from shared.turn import Message, Text, Turn

CONTINUE_PROMPT = (
    "You complete text. Reply with what comes next after the user's text, beginning at its very last character, and "
    "with nothing else: do not repeat any of it, do not explain, and put no code fence around your reply. If the text "
    "asks for something, reply with that alone."
)
FILL_PROMPT = (
    "You fill a gap in a text, such as a file that is open in an editor. The user gives the text before the gap in "
    "<prefix> and the text after it in <suffix>. Reply with what stands in the gap, so that prefix, reply and suffix "
    "make one text, and with nothing else: do not repeat prefix or suffix, do not explain, and put no code fence around "
    "your reply."
)

_fields = msgspec.json.Decoder(dict[str, object])
_request = msgspec.json.Decoder(CompletionRequest)


class CompletionTurnRequest(Struct, frozen=True):
    """A decoded completion request. choices: for each prompt. ignored: the names of the parameters without effect."""

    request: CompletionRequest
    prompts: tuple[str, ...]
    choices: int
    stop: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def include_usage(self) -> bool:
        """Whether the stream ends with the token usage."""
        return bool(self.request.stream_options and self.request.stream_options.include_usage)

    def build_turns(self, model: str) -> list[Turn]:
        """Returns a turn for each answer: the answers to the first prompt, then those to the next."""
        return list(
            chain.from_iterable(repeat(self._build_turn(model, prompt), self.choices) for prompt in self.prompts)
        )

    def list_echoes(self) -> list[str]:
        """Returns the text that each answer starts with."""
        return [prompt if self.request.echo else "" for prompt in self.prompts for _ in range(self.choices)]

    def _build_turn(self, model: str, prompt: str) -> Turn:
        suffix = self.request.suffix
        text = f"<prefix>{prompt}</prefix>\n<suffix>{suffix}</suffix>" if suffix else prompt
        return Turn(
            model=model,
            messages=(Message("user", (Text(text),)),),
            system=(FILL_PROMPT if suffix else CONTINUE_PROMPT,),
            max_tokens=self.request.max_tokens,
            stop=self.stop,
            max_budget_usd=self.request.max_budget_usd,
        )


def decode(body: bytes, policy: Policy) -> CompletionTurnRequest:
    """Decodes the body of POST /v1/completions. Raises Problem (400) with the invalid field in `param`."""
    ignored = check_parameters(COMPLETIONS_PARAMETERS, decode_json(body, _fields), strict=policy.strict)
    request = decode_json(body, _request)
    if request.stream_options is not None and not request.stream:
        raise invalid_problem("`stream_options` needs `stream: true`.", "stream_options")
    choices = check_choice_count(request.n, policy.max_choices)
    if request.best_of not in (None, choices):
        message = "`best_of` must equal `n`: the server cannot tell which answer is the best."
        raise invalid_problem(message, "best_of", "unsupported_parameter")
    prompts = parse_prompts(request.prompt, policy.max_choices // choices)
    if not request.suffix and not all(prompt.strip() for prompt in prompts):
        raise invalid_problem("`prompt` must have text, or a `suffix`.", "prompt")
    return CompletionTurnRequest(request, prompts, choices, parse_stop_sequences(request.stop), ignored)


def parse_prompts(prompt: str | list[str | int | list[int]], max_prompts: int) -> tuple[str, ...]:
    """Returns the prompts. Raises Problem."""
    prompts = [prompt] if isinstance(prompt, str) else prompt
    for index, text in enumerate(prompts):
        if not isinstance(text, str):
            where = "prompt" if isinstance(text, int) else f"prompt[{index}]"
            message = f"`{where}` has token ids of a vocabulary that Claude models do not use. Send text."
            raise invalid_problem(message, where, "unsupported_parameter")
    if not 1 <= len(prompts) <= max_prompts:
        raise invalid_problem(
            f"`prompt` takes 1 to {max_prompts} texts, not {len(prompts)}. Each one gets `n` answers, and the server's owner "
            "limits the total with MAX_CHOICES.",
            "prompt",
        )
    return tuple(text for text in prompts if isinstance(text, str))
