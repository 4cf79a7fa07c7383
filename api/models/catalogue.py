"""The models there are, and what a client's name for one means.

Law: a name means, in this order: an alias of MODEL_ALIASES, a well-known name of another vendor's, a name of the CLI's
own, a full `claude-…` id. Nothing else is a model.
"""

import asyncio
import re
from collections.abc import Mapping

from msgspec import Struct

from api.core.problems import Problem
from api.executors.pool import Executors
from shared.wire import Model

OWN = ("haiku", "sonnet", "opus")
WELL_KNOWN = {"gpt-4o": "opus", "gpt-4o-mini": "sonnet", "gpt-3.5-turbo": "haiku"}
FRESH = 60.0
# What the CLI takes after an id for a longer conversation.
LONG = "[1m]"
# A full id: the service knows which there are.
ID = re.compile(r"claude-[a-z0-9._:@/\[\]-]{1,120}")


class Listed(Struct, frozen=True):
    """A model as it is listed. means: what the CLI is asked for when it is named."""

    id: str
    means: str
    alias: bool


def listing(models: tuple[Model, ...], aliases: Mapping[str, str]) -> list[Listed]:
    """Every name that a client may use: the CLI's own, the full ids, the aliases."""
    offered = choices(models)
    ids = {model.resolved: Listed(model.resolved, model.resolved, alias=False) for model in offered}
    names = {name: Listed(name, name, alias=False) for name in (*OWN, *(model.value for model in offered))}
    others = {name: Listed(name, means, alias=True) for name, means in {**WELL_KNOWN, **aliases}.items()}
    return [*(names | ids | others).values()]


def named(name: str, listed: list[Listed]) -> Listed | None:
    """The model that a request may mean by a name: capitals count in aliases only, and `[1m]` after an id asks for more."""
    lowered = name.strip().lower()
    for model in listed:
        if model.id == (name if model.alias else lowered):
            return model
    base = lowered.removesuffix(LONG)
    if base != lowered and ID.fullmatch(base) and any(model.id == base and not model.alias for model in listed):
        return Listed(lowered, lowered, alias=False)
    return None


def choices(models: tuple[Model, ...]) -> list[Model]:
    """The models without the CLI's `default`, which is a wish for any of them; DEFAULT_MODEL says which here."""
    return [model for model in models if model.value != "default"]


def meaning(name: str, aliases: Mapping[str, str], offered: tuple[Model, ...]) -> str:
    """What the CLI is asked for when a client names `name`. Raises Problem (404 model_not_found)."""
    known = {**WELL_KNOWN, **aliases}
    values = {*OWN, *(name for model in choices(offered) for name in (model.value, model.resolved))}
    # An alias may have the name of a model; what it leads to is then the model, and not an alias again.
    wanted = known.get(name.strip(), name.strip())
    for _ in range(len(known) + 1):
        if wanted.lower() in values or ID.fullmatch(wanted.lower()):
            return wanted.lower()
        wanted = known.get(wanted, wanted)
    raise Problem(
        404,
        "model_not_found",
        f"The model `{name[:128]}` does not exist here. GET /v1/models lists the models; MODEL_ALIASES can add a name.",
        param="model",
    )


class Catalogue:
    """Mutable: the models the executors last told of, and when."""

    def __init__(self, executors: Executors, default: str, aliases: Mapping[str, str]) -> None:
        self.default = default
        self.aliases = aliases
        self._executors = executors
        self._models: tuple[Model, ...] = ()
        self._asked = float("-inf")

    async def models(self) -> tuple[Model, ...]:
        """What the CLI offers this account, asked for again after a minute; the last answer when there is none."""
        now = asyncio.get_running_loop().time()
        if now - self._asked > FRESH or not self._models:
            self._asked = now
            statuses = (await self._executors.statuses()).values()
            self._models = next((status.models for status in statuses if status and status.models), self._models)
        return self._models

    def meanings(self, name: str) -> set[str]:
        """Every name of the model that a name means; the name itself if it means none."""
        try:
            found = meaning(name, self.aliases, self._models)
        except Problem:
            return {name}
        return {found}.union(*({m.value, m.resolved} for m in choices(self._models) if found in {m.value, m.resolved}))

    async def resolve(self, name: str | None) -> str:
        """What the CLI is asked for; the default when no model was named. Raises Problem (404 model_not_found)."""
        wanted = name or self.default
        try:
            return meaning(wanted, self.aliases, self._models)
        except Problem:
            return meaning(wanted, self.aliases, await self.models())
