"""What a key may name, and when what it used is counted afresh. Pure. Days and months are UTC's."""

import time
from collections.abc import Callable, Collection, Iterable

from api.accounting.ledger_record import DAY
from api.core.keys import Key
from api.models.catalogue import Listed

type Meanings = Callable[[str], Collection[str]]


def allows(key: Key, model: str, meanings: Meanings) -> bool:
    """Whether a key may use a model, by any of its names."""
    if key.models is None:
        return True
    wanted = set(meanings(model))
    return any(not wanted.isdisjoint(meanings(name)) for name in key.models)


def nameable(key: Key | None, models: Iterable[Listed], meanings: Meanings) -> list[Listed]:
    """Those that one may name. key: None is the owner."""
    return [model for model in models if key is None or allows(key, model.id, meanings)]


def days(now: float) -> tuple[int, int]:
    """Today, and the day on which this month began, counted from 1970."""
    today = int(now // DAY)
    return today, today - time.gmtime(now).tm_mday + 1


def next_day(now: float) -> float:
    """When the next day begins."""
    return (int(now // DAY) + 1) * DAY


def next_month(now: float) -> float:
    """When the next month begins."""
    _, first = days(now)
    _, following = days((first + 31) * DAY)
    return following * DAY
