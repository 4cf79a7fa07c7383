"""What a key may name, and when what it used is counted afresh. Pure. Days and months are UTC's."""

import time
from collections.abc import Callable, Collection, Iterable

from api.accounting.ledger_record import DAY
from api.core.keys import Key
from api.models.catalogue import ListedModel

type NameLookup = Callable[[str], Collection[str]]


def is_model_allowed(key: Key, model: str, meanings: NameLookup) -> bool:
    """Whether a key may use a model, by any of its names."""
    if key.models is None:
        return True
    wanted = set(meanings(model))
    return any(not wanted.isdisjoint(meanings(name)) for name in key.models)


def list_allowed_models(key: Key | None, models: Iterable[ListedModel], meanings: NameLookup) -> list[ListedModel]:
    """Those that one may name. key: None is the owner."""
    return [model for model in models if key is None or is_model_allowed(key, model.id, meanings)]


def get_today_and_month_start(now: float) -> tuple[int, int]:
    """Today, and the day on which this month began, counted from 1970."""
    today = int(now // DAY)
    return today, today - time.gmtime(now).tm_mday + 1


def next_day(now: float) -> float:
    """When the next day begins."""
    return (int(now // DAY) + 1) * DAY


def next_month(now: float) -> float:
    """When the next month begins."""
    _, first = get_today_and_month_start(now)
    _, following = get_today_and_month_start((first + 31) * DAY)
    return following * DAY
