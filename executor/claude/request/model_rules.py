"""Rules for what a model accepts, where models differ. Pure.

The rules come from the vendor's migration guides and from
https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages. An unknown model is treated as a new
one: what new models reject is emulated in a way that every model accepts.
"""

import re

from msgspec import Struct

FORCED_TOOLS = re.compile(r"claude-(3|(opus|sonnet|haiku)-4|haiku-5)")
# Models that reject a forced call while they think; later ones accept both or neither.
FORCED_TOOLS_WITHOUT_THINKING = re.compile(r"claude-(3|(opus|sonnet|haiku)-4(-[0-7])?(-20\d{6})?$)")
PREFILL = re.compile(r"claude-(3|(opus|sonnet|haiku)-4(-[015])?(-20\d{6})?$)")
NO_SYSTEM_MESSAGES = re.compile(r"claude-(3|(opus|sonnet|haiku)-4(-[0-7])?(-20\d{6})?$)")


class ModelRules(Struct, frozen=True):
    """forced_tools: `tool_choice` may be `any` or `tool`. prefill: a conversation may end with the assistant's message.

    system_messages: a conversation may contain messages of the role system. thinks_when_forced: thinking may stay on when
    a call is forced.
    """

    forced_tools: bool
    prefill: bool
    system_messages: bool
    thinks_when_forced: bool


PERMISSIVE_RULES = ModelRules(forced_tools=True, prefill=True, system_messages=True, thinks_when_forced=True)


def find_rules(model: str) -> ModelRules:
    """Returns the rules of a model by its full id."""
    name = model.partition("[")[0]
    return ModelRules(
        forced_tools=bool(FORCED_TOOLS.match(name)),
        prefill=bool(PREFILL.match(name)),
        system_messages=not NO_SYSTEM_MESSAGES.match(name),
        thinks_when_forced=not FORCED_TOOLS_WITHOUT_THINKING.match(name),
    )
