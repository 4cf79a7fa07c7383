"""Decodes JSON and checks the fields that several dialects share. Pure.

Invariants: an invalid field raises a Problem that names the field and the accepted values.
"""

import re
from collections.abc import Collection

import msgspec

from api.core.numbers import find_out_of_range
from api.core.problems import Problem, invalid_problem
from shared.turn import Effort

# OpenAI accepts 4; code editors send more for completions while typing, to other servers.
MAX_STOP_SEQUENCES = 64
MAX_NUMBER_DIGITS = 9
# How msgspec names a limit of a number, and how this server does.
LIMIT_PATTERN = re.compile(r"Expected `(?:int|float)` (>=|<=|>) (\d+)(?:\.0)?")
LIMIT_WORDS = {">=": "at least", "<=": "at most", ">": "more than"}
# What msgspec says of a text that is empty or blank.
EMPTY_FAULTS = {"Expected `str` of length >= 1", r"Expected `str` matching regex '\\S'"}
EFFORT_NAMES: dict[str, Effort] = {
    "none": "low",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}


def decode_json[T](body: bytes, decoder: msgspec.json.Decoder[T], where: str = "") -> T:
    """Decodes JSON from a client. where: its place in the request; empty for the body. Raises Problem (400)."""
    try:
        return decoder.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except msgspec.ValidationError as error:
        if "out of range" in str(error) and (place := find_out_of_range(body)):
            place = f"{where}.{place}" if where else place
            raise invalid_problem(f"`{place}`: the number is out of range; write it as a string.", place) from error
        raise validation_problem(error, where) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "invalid_json", "The body is not valid JSON in UTF-8.") from error


def validation_problem(error: msgspec.ValidationError, within: str = "") -> Problem:
    """Converts a message of msgspec, which ends in ` - at `$.messages[0].role``, to a sentence and a field."""
    fault, _, where = str(error).partition(" - at ")
    path = (within + where.strip("`").partition("[...]")[0].removeprefix("$")).removeprefix(".")
    if "missing required field" in fault:
        name = fault.rpartition(" ")[2].strip("`")
        path = f"{path}.{name}" if path else name
        return invalid_problem(f"`{path}` is missing.", path)
    if fault in EMPTY_FAULTS:
        return invalid_problem(f"`{path}` is empty.", path)
    if limit := LIMIT_PATTERN.fullmatch(fault):
        return invalid_problem(f"`{path}` must be {LIMIT_WORDS[limit[1]]} {limit[2]}.", path)
    return invalid_problem(f"`{path}`: {fault}." if path else f"The body: {fault}.", path or None)


def parse_whole_number(text: str) -> int:
    """Returns the integer in a URL; -1 if it is not a number of 1 to MAX_NUMBER_DIGITS digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER_DIGITS else -1


def parse_page_size(text: str, most: int) -> int:
    """Returns the number of entries of a page from the parameter `limit` of a URL. Raises Problem."""
    size = parse_whole_number(text)
    if not 1 <= size <= most:
        raise invalid_problem(f"`limit` must be a number from 1 to {most}.", "limit")
    return size


def check_choice(value: str, known: Collection[str], where: str) -> str:
    """Returns a value if it is one of the known ones. Raises Problem."""
    if value not in known:
        raise invalid_problem(f"`{where}` must be one of {', '.join(known)}, not `{value}`.", where)
    return value


def parse_effort(name: str | None, where: str) -> Effort | None:
    """Returns the effort of one of OpenAI's names. Raises Problem."""
    if name is None:
        return None
    return EFFORT_NAMES[check_choice(name, EFFORT_NAMES, where)]


def parse_stop_sequences(stop: str | list[str] | None, where: str = "stop") -> tuple[str, ...]:
    """Returns the stop sequences. Raises Problem."""
    texts = [stop] if isinstance(stop, str) else stop or []
    if len(texts) > MAX_STOP_SEQUENCES:
        raise invalid_problem(f"`{where}` accepts up to {MAX_STOP_SEQUENCES} texts, not {len(texts)}.", where)
    return tuple(text for text in texts if text)


def check_choice_count(number: int | None, max_choices: int) -> int:
    """Returns the number of choices to generate. Raises Problem."""
    if number is None:
        return 1
    if not 1 <= number <= max_choices:
        raise invalid_problem(
            f"`n` must be from 1 to {max_choices}; the server's owner sets the limit with MAX_CHOICES.", "n"
        )
    return number
