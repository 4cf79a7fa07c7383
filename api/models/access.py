"""Which models a key may use. Pure."""

from collections.abc import Callable, Collection, Iterable

from api.core.keys import Key
from api.models.catalogue import ListedModel

type NameLookup = Callable[[str], Collection[str]]


def is_model_allowed(key: Key, model: str, list_names: NameLookup) -> bool:
    """Whether a key may use a model, by any of the model's names."""
    if key.models is None:
        return True
    wanted = set(list_names(model))
    return any(not wanted.isdisjoint(list_names(name)) for name in key.models)


def list_allowed_models(key: Key | None, models: Iterable[ListedModel], list_names: NameLookup) -> list[ListedModel]:
    """Returns the models that a key may use. key: None for the owner."""
    return [model for model in models if key is None or is_model_allowed(key, model.id, list_names)]
