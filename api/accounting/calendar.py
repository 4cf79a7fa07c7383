"""Days and months of budgets, in UTC. Pure."""

import time

from api.database.ledger_record import DAY


def get_today_and_month_start(now: float) -> tuple[int, int]:
    """Returns today and the first day of this month, as days since 1970."""
    today = int(now // DAY)
    return today, today - time.gmtime(now).tm_mday + 1


def find_reset(limit: str, now: float) -> float:
    """Returns when a limit of a day or of a month, by its name, starts again."""
    if limit.endswith("day"):
        return (int(now // DAY) + 1) * DAY
    _, first = get_today_and_month_start(now)
    _, following = get_today_and_month_start((first + 31) * DAY)
    return following * DAY
