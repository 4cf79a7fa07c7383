"""What is allowed in what is asked. Pure, but for the model's name.

Law: what is refused is a Problem that names the field and the mend.
"""

from collections.abc import Sequence

from msgspec import Struct

from api.core.problems import invalid
from shared.tool_jobs import MOST_LINES

MOST_FILES = 100


class Limits(Struct, frozen=True):
    """What the server's owner decided. max_prompt: in characters. max_turns: how often a model may call tools."""

    max_prompt: int = 100_000
    max_turns: int = 40


def prompt(text: str, limits: Limits) -> str:
    """A prompt that says something, and not too much. Raises Problem."""
    if not text.strip():
        raise invalid("`prompt` must say something.", "prompt")
    if len(text) > limits.max_prompt:
        raise invalid(
            f"`prompt` has {len(text)} characters; {limits.max_prompt} are allowed. The server's owner sets the limit "
            "with MAX_PROMPT.",
            "prompt",
        )
    return text


def narrowed(asked: Sequence[str] | None, known: tuple[str, ...], possible: tuple[str, ...]) -> tuple[str, ...]:
    """The tools to offer: those that were asked for, as far as they can be used. Raises Problem."""
    for name in asked or ():
        if name not in known:
            raise invalid(f"`allowed_tools`: there is no tool `{name}`; there are {', '.join(known)}.", "allowed_tools")
        if name not in possible:
            raise invalid(
                f"`allowed_tools`: `{name}` can't be used on this server, which allows {', '.join(possible)}. It can be "
                "narrowed here, not widened.",
                "allowed_tools",
            )
    return possible if asked is None else tuple(name for name in possible if name in asked)


def files(paths: Sequence[str] | None) -> tuple[str, ...]:
    """The paths of the files to read. Raises Problem."""
    if paths and len(paths) > MOST_FILES:
        raise invalid(f"`context_files` takes up to {MOST_FILES} paths, not {len(paths)}.", "context_files")
    for number, path in enumerate(paths or ()):
        place = f"context_files[{number}]"
        said(path, place)
    return tuple(paths or ())


def said(text: str, place: str) -> str:
    """A path or a command that says something. Raises Problem."""
    if not text.strip():
        raise invalid(f"`{place}` is empty.", place)
    return text


def at_least_one(number: int | None, place: str) -> int | None:
    """A number of lines. Raises Problem."""
    if number is not None and not 1 <= number <= MOST_LINES:
        raise invalid(f"`{place}` goes from 1 to {MOST_LINES}.", place)
    return number


def seconds(timeout: float | None) -> float | None:
    """A time. Raises Problem."""
    if timeout is not None and not 0 < timeout <= 86_400:
        raise invalid("`timeout` is in seconds, more than 0 and no more than a day.", "timeout")
    return timeout
