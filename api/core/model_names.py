"""What a client's name for a model means. Pure.

Invariants: a name is, in this order: an alias of MODEL_ALIASES, a well-known name of another vendor's model, a name of
the CLI, a full `claude-…` id. Any other name is unknown.
"""

import re
from collections.abc import Mapping

from api.core.problems import Problem
from shared.claude_status import CliModel

CLI_ALIASES = ("haiku", "sonnet", "opus")
VENDOR_ALIASES = {"gpt-4o": "opus", "gpt-4o-mini": "sonnet", "gpt-3.5-turbo": "haiku"}
# A full id; only the service knows which ids exist.
MODEL_ID = re.compile(r"claude-[a-z0-9._:@/\[\]-]{1,120}")


def exclude_default(models: tuple[CliModel, ...]) -> list[CliModel]:
    """Returns the models without the CLI's `default`, which stands for any model; here DEFAULT_MODEL decides that."""
    return [model for model in models if model.value != "default"]


def resolve_model(name: str, aliases: Mapping[str, str], offered: tuple[CliModel, ...]) -> str:
    """Returns the CLI's name for a client's `name`. Raises Problem (404 model_not_found)."""
    known = {**VENDOR_ALIASES, **aliases}
    values = {*CLI_ALIASES, *(name for model in exclude_default(offered) for name in (model.value, model.resolved))}
    # An alias may have the name of a model; its target is then the model, and not an alias again.
    wanted = known.get(name.strip(), name.strip())
    for _ in range(len(known) + 1):
        if wanted.lower() in values or MODEL_ID.fullmatch(wanted.lower()):
            return wanted.lower()
        wanted = known.get(wanted, wanted)
    raise Problem(
        404,
        "model_not_found",
        f"The model `{name[:128]}` does not exist here. GET /v1/models lists the models; MODEL_ALIASES can add a name.",
        param="model",
    )
