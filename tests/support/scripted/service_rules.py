"""What the real service refuses: a rule a name, each on by default in the scripted one.

Read off the vendor's pages (the Messages reference, the migration guides of the 5.5 models, preserved thinking) and
public reports; the texts are the service's own where they are known. It shares no code with what it tests.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from tests.support.scripted.service_cache import find_misplaced_lifetimes, find_too_many_breakpoints
from tests.support.scripted.service_messages import MESSAGE_RULES
from tests.support.scripted.service_parameters import PARAMETER_RULES
from tests.support.scripted.service_pictures import PICTURE_RULES
from tests.support.scripted.service_request import Request, find_malformed
from tests.support.scripted.service_thinking import THINKING_RULES
from tests.support.scripted.service_tools import TOOL_RULES

type Rule = Callable[[Request], Iterator[str]]

RULES: Mapping[str, Rule] = {
    **PARAMETER_RULES,
    **TOOL_RULES,
    **MESSAGE_RULES,
    **PICTURE_RULES,
    "breakpoints": find_too_many_breakpoints,
    "breakpoint_order": find_misplaced_lifetimes,
    **THINKING_RULES,
}


def find_refusal(body: Any, headers: Mapping[str, str], without: Collection[str] = ()) -> tuple[str, str] | None:
    """The first rule that a request breaks and the service's message, or None. without: the rules that are off."""
    for message in find_malformed(body):
        return "form", message
    request = Request(body, headers)
    for name, rule in RULES.items():
        if name not in without:
            for message in rule(request):
                return name, message
    return None
