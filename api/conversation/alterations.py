"""Finds what the CLI alters in a request: it reads JSON as JavaScript does, which can't be prevented. Pure.

Invariants: each alteration is reported by its place in the request; a text beyond the search limit is reported as `$`.
"""

from collections.abc import Iterable, Iterator, Sequence

from api.conversation.drafts import Draft
from api.conversation.parameters import MORE_NAMES
from api.conversation.tools import ToolSet
from api.core.problems import invalid_problem
from shared.text.exact_json import find_alterations
from shared.turn import ToolUse

MAX_LISTED_PLACES = 8
MAX_PLACE_LENGTH = 120
# In characters: about as much as the context of a model holds.
MAX_SEARCHED_CHARACTERS = 4 * 1024 * 1024

type Place = tuple[str, str]


def list_json_texts(
    drafts: Sequence[Draft], tool_set: ToolSet, schema: str | None, schema_place: str
) -> Iterator[tuple[str, str]]:
    """Yields the JSON texts of a request that the CLI reads, each with its place."""
    for draft in drafts:
        yield from ((draft.where, block.arguments) for block in draft.content if isinstance(block, ToolUse))
    for tool in tool_set.tools:
        yield tool_set.places.get(tool.name, "tools"), tool.schema
    if schema is not None:
        yield schema_place, schema


def find_altered_places(texts: Iterable[tuple[str, str]]) -> tuple[Place, ...]:
    """Returns the alterations in these texts, at most MAX_LISTED_PLACES + 1: the text's place, and the path in it."""
    places: list[Place] = []
    left = MAX_SEARCHED_CHARACTERS
    for where, text in texts:
        left -= len(text)
        paths = find_alterations(text) if left >= 0 else ("$",)
        places += [(where, path) for path in paths]
        if len(places) > MAX_LISTED_PLACES:
            return tuple(places[: MAX_LISTED_PLACES + 1])
    return tuple(places)


def describe_places(places: Sequence[Place]) -> tuple[str, ...]:
    """Returns the places as readable text: `messages[1]: $.id`."""
    lines = [f"{where}: {path}"[:MAX_PLACE_LENGTH] for where, path in places[:MAX_LISTED_PLACES]]
    return (*dict.fromkeys(lines), MORE_NAMES) if len(places) > MAX_LISTED_PLACES else tuple(dict.fromkeys(lines))


def check_alterations(places: Sequence[Place], *, strict: bool) -> tuple[str, ...]:
    """Returns the places as readable text. Raises Problem (400) for the first one in strict mode."""
    if strict and places:
        where, path = places[0]
        message = (
            f"`{where}`: `{path}` would be altered, for the CLI reads JSON as JavaScript does. REJECT_UNSUPPORTED_PARAMS rejects it; "
            "write long numbers as strings, others in their shortest form, each name once, and whole numbers as names first."
        )
        raise invalid_problem(message, where, "unsupported_parameter")
    return describe_places(places)
