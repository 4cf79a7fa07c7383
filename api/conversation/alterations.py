"""What the CLI alters in a request, which can't be prevented: it reads JSON as JavaScript does. Pure.

Invariants: whatever is altered is named, by its place in the request; texts beyond what is searched are named whole.
"""

from collections.abc import Iterable, Iterator, Sequence

from api.conversation.drafts import Draft
from api.conversation.parameters import OTHERS
from api.conversation.tools import Offered
from api.core.problems import invalid
from shared.text.exact_json import find_alterations
from shared.turn import ToolUse

MOST_PLACES = 8
LONGEST_PLACE = 120
# In characters: about as much as the context of a model holds.
MOST_SEARCHED = 4 * 1024 * 1024

type Place = tuple[str, str]


def list_texts(
    drafts: Sequence[Draft], offered: Offered, schema: str | None, schema_place: str
) -> Iterator[tuple[str, str]]:
    """Yields the JSON texts of a request that the CLI reads, each with its place."""
    for draft in drafts:
        yield from ((draft.where, block.arguments) for block in draft.content if isinstance(block, ToolUse))
    for tool in offered.tools:
        yield offered.places.get(tool.name, "tools"), tool.schema
    if schema is not None:
        yield schema_place, schema


def find_altered(texts: Iterable[tuple[str, str]]) -> tuple[Place, ...]:
    """Returns what is altered in these texts, at most MOST_PLACES and one: the text's place, and the path in it."""
    found: list[Place] = []
    left = MOST_SEARCHED
    for where, text in texts:
        left -= len(text)
        paths = find_alterations(text) if left >= 0 else ("$",)
        found += [(where, path) for path in paths]
        if len(found) > MOST_PLACES:
            return tuple(found[: MOST_PLACES + 1])
    return tuple(found)


def describe_altered(places: Sequence[Place]) -> tuple[str, ...]:
    """Returns the places for people: `messages[1]: $.id`."""
    written = [f"{where}: {path}"[:LONGEST_PLACE] for where, path in places[:MOST_PLACES]]
    return (*dict.fromkeys(written), OTHERS) if len(places) > MOST_PLACES else tuple(dict.fromkeys(written))


def without_alteration(places: Sequence[Place], *, strict: bool) -> tuple[str, ...]:
    """Returns the places for people. Raises Problem (400) for the first, if nothing may be altered."""
    if strict and places:
        where, path = places[0]
        message = (
            f"`{where}`: `{path}` would be altered, for the CLI reads JSON as JavaScript does. REJECT_UNSUPPORTED_PARAMS refuses it; "
            "write long numbers as strings, others in their shortest form, each name once, and whole numbers as names first."
        )
        raise invalid(message, where, "unsupported_parameter")
    return describe_altered(places)
