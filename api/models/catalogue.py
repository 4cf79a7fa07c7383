"""The models there are, and what a client's name for one means.

Law: a name means, in this order: an alias of MODEL_ALIASES, a well-known name of another vendor's, a name of the CLI's
own, a full `claude-…` id. Nothing else is a model.
"""

import asyncio
import re
from collections.abc import Mapping

from msgspec import Struct

from api.core.problems import Problem
from api.executors.pool import ExecutorPool
from shared.wire import CliModel

CLI_ALIASES = ("haiku", "sonnet", "opus")
VENDOR_ALIASES = {"gpt-4o": "opus", "gpt-4o-mini": "sonnet", "gpt-3.5-turbo": "haiku"}
MODELS_TTL = 60.0
# What the CLI takes after an id for a longer conversation.
LONG_CONTEXT_SUFFIX = "[1m]"
# A full id: the service knows which there are.
MODEL_ID = re.compile(r"claude-[a-z0-9._:@/\[\]-]{1,120}")


class ListedModel(Struct, frozen=True):
    """A model as it is listed. means: what the CLI is asked for when it is named."""

    id: str
    cli_model: str
    is_alias: bool


def build_model_list(models: tuple[CliModel, ...], aliases: Mapping[str, str]) -> list[ListedModel]:
    """Every name that a client may use: the CLI's own, the full ids, the aliases."""
    offered = exclude_default(models)
    ids = {model.resolved: ListedModel(model.resolved, model.resolved, is_alias=False) for model in offered}
    names = {
        name: ListedModel(name, name, is_alias=False) for name in (*CLI_ALIASES, *(model.value for model in offered))
    }
    others = {name: ListedModel(name, means, is_alias=True) for name, means in {**VENDOR_ALIASES, **aliases}.items()}
    return [*(names | ids | others).values()]


def find_model(name: str, listed: list[ListedModel]) -> ListedModel | None:
    """The model that a request may mean by a name: capitals count in aliases only, and `[1m]` after an id asks for more."""
    lowered = name.strip().lower()
    for model in listed:
        if model.id == (name if model.is_alias else lowered):
            return model
    base = lowered.removesuffix(LONG_CONTEXT_SUFFIX)
    if (
        base != lowered
        and MODEL_ID.fullmatch(base)
        and any(model.id == base and not model.is_alias for model in listed)
    ):
        return ListedModel(lowered, lowered, is_alias=False)
    return None


def exclude_default(models: tuple[CliModel, ...]) -> list[CliModel]:
    """The models without the CLI's `default`, which is a wish for any of them; DEFAULT_MODEL says which here."""
    return [model for model in models if model.value != "default"]


def resolve_model(name: str, aliases: Mapping[str, str], offered: tuple[CliModel, ...]) -> str:
    """What the CLI is asked for when a client names `name`. Raises Problem (404 model_not_found)."""
    known = {**VENDOR_ALIASES, **aliases}
    values = {*CLI_ALIASES, *(name for model in exclude_default(offered) for name in (model.value, model.resolved))}
    # An alias may have the name of a model; what it leads to is then the model, and not an alias again.
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


class Catalogue:
    """Mutable: the models the executors last told of, and when."""

    def __init__(self, executors: ExecutorPool, default: str, aliases: Mapping[str, str]) -> None:
        self.default_model = default
        self.aliases = aliases
        self._executors = executors
        self._models: tuple[CliModel, ...] = ()
        self._fetched_at = float("-inf")

    async def fetch_models(self) -> tuple[CliModel, ...]:
        """What the CLI offers this account, asked for again after a minute; the last answer when there is none."""
        now = asyncio.get_running_loop().time()
        if now - self._fetched_at > MODELS_TTL or not self._models:
            self._fetched_at = now
            statuses = (await self._executors.fetch_statuses()).values()
            self._models = next((status.models for status in statuses if status and status.models), self._models)
        return self._models

    def list_names(self, name: str) -> set[str]:
        """Every name of the model that a name means; the name itself if it means none."""
        try:
            found = resolve_model(name, self.aliases, self._models)
        except Problem:
            return {name}
        return {found}.union(
            *({m.value, m.resolved} for m in exclude_default(self._models) if found in {m.value, m.resolved})
        )

    async def resolve(self, name: str | None) -> str:
        """What the CLI is asked for; the default when no model was named. Raises Problem (404 model_not_found)."""
        wanted = name or self.default_model
        try:
            return resolve_model(wanted, self.aliases, self._models)
        except Problem:
            return resolve_model(wanted, self.aliases, await self.fetch_models())
