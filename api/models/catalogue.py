"""The catalogue: the models that exist, the names that clients may use for them, and the models that a key may use."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from msgspec import Struct

from api.core.keys import Key
from api.core.model_names import CLI_ALIASES, MODEL_ID, VENDOR_ALIASES, exclude_default, resolve_model
from api.core.problems import Problem
from shared.claude_status import ClaudeStatus, CliModel

MODELS_TTL = 60.0
# The CLI accepts this suffix after an id, for longer conversations.
LONG_CONTEXT_SUFFIX = "[1m]"

type NameLookup = Callable[[str], Collection[str]]
type StatusFetcher = Callable[[], Awaitable[Mapping[str, ClaudeStatus | None]]]


class ListedModel(Struct, frozen=True):
    """A name in the list of models. cli_model: the CLI's name for it."""

    id: str
    cli_model: str
    is_alias: bool


def build_model_list(models: tuple[CliModel, ...], aliases: Mapping[str, str]) -> list[ListedModel]:
    """Returns every name that a client may use: the CLI's names, the full ids, the aliases."""
    offered = exclude_default(models)
    ids = {model.resolved: ListedModel(model.resolved, model.resolved, is_alias=False) for model in offered}
    names = {
        name: ListedModel(name, name, is_alias=False) for name in (*CLI_ALIASES, *(model.value for model in offered))
    }
    others = {name: ListedModel(name, target, is_alias=True) for name, target in {**VENDOR_ALIASES, **aliases}.items()}
    return [*(names | ids | others).values()]


def find_model(name: str, listed: list[ListedModel]) -> ListedModel | None:
    """Returns the model of a name. Case matters in aliases only; an id may have the suffix `[1m]`."""
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


def is_model_allowed(key: Key, model: str, list_names: NameLookup) -> bool:
    """Whether a key may use a model, by any of the model's names."""
    if key.models is None:
        return True
    wanted = set(list_names(model))
    return any(not wanted.isdisjoint(list_names(name)) for name in key.models)


def list_allowed_models(key: Key | None, models: Iterable[ListedModel], list_names: NameLookup) -> list[ListedModel]:
    """Returns the models that a key may use. key: None for the owner."""
    return [model for model in models if key is None or is_model_allowed(key, model.id, list_names)]


class Catalogue:
    """Mutable: the models that the executors last reported, and when they did."""

    def __init__(self, fetch_statuses: StatusFetcher, default: str, aliases: Mapping[str, str]) -> None:
        self.default_model = default
        self.aliases = aliases
        self._fetch_statuses = fetch_statuses
        self._models: tuple[CliModel, ...] = ()
        self._fetched_at = float("-inf")

    async def fetch_models(self) -> tuple[CliModel, ...]:
        """Returns the models that the CLI offers this account: at most a minute old, or the last known ones."""
        now = asyncio.get_running_loop().time()
        if now - self._fetched_at > MODELS_TTL or not self._models:
            self._fetched_at = now
            statuses = (await self._fetch_statuses()).values()
            self._models = next((status.models for status in statuses if status and status.models), self._models)
        return self._models

    def list_names(self, name: str) -> set[str]:
        """Returns every name of the model that `name` means; `name` itself if it is unknown."""
        try:
            cli_name = resolve_model(name, self.aliases, self._models)
        except Problem:
            return {name}
        return {cli_name}.union(
            *({m.value, m.resolved} for m in exclude_default(self._models) if cli_name in {m.value, m.resolved})
        )

    async def resolve(self, name: str | None) -> str:
        """Returns the CLI's name for a client's; None means DEFAULT_MODEL. Raises Problem (404 model_not_found)."""
        wanted = name or self.default_model
        try:
            return resolve_model(wanted, self.aliases, self._models)
        except Problem:
            return resolve_model(wanted, self.aliases, await self.fetch_models())
