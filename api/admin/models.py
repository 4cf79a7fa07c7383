"""Request and response bodies of /api/admin/keys and /api/usage. Times are RFC 3339, in UTC."""

from msgspec import UNSET, Struct, UnsetType


class KeyRecord(Struct, frozen=True):
    """A key. `key`, the key itself, is only in the response that created it."""

    id: str
    name: str
    scopes: list[str]
    models: list[str] | None
    created_at: str
    expires_at: str | None
    disabled: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_jobs: int | None
    usd_per_day: float | None
    usd_per_month: float | None
    tokens_per_day: int | None
    tokens_per_month: int | None
    key: str | UnsetType = UNSET


class KeyList(Struct, frozen=True):
    """All keys."""

    data: list[KeyRecord]


class KeyFields(Struct, frozen=True):
    """The settable fields of a key; `name` only for a new one."""

    name: str | UnsetType = UNSET
    scopes: list[str] | UnsetType = UNSET
    models: list[str] | UnsetType | None = UNSET
    expires_at: str | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET
    requests_per_minute: int | UnsetType | None = UNSET
    tokens_per_minute: int | UnsetType | None = UNSET
    concurrent_jobs: int | UnsetType | None = UNSET
    usd_per_day: float | UnsetType | None = UNSET
    usd_per_month: float | UnsetType | None = UNSET
    tokens_per_day: int | UnsetType | None = UNSET
    tokens_per_month: int | UnsetType | None = UNSET


class UsageRow(Struct, frozen=True):
    """The sums of one group of jobs."""

    jobs: int
    failed_jobs: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_usd: float
    seconds: float
    key: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    dialect: str | UnsetType = UNSET
    day: str | UnsetType = UNSET
    hour: str | UnsetType = UNSET


class UsageReport(Struct, frozen=True):
    """The usage from `since` until `until`."""

    since: str
    until: str
    by: list[str]
    rows: list[UsageRow]
    totals: UsageRow


class KeyLimit(Struct, frozen=True):
    """One limit of a key. used and remaining are absent for limits that count running jobs."""

    name: str
    limit: float
    used: float | UnsetType = UNSET
    remaining: float | UnsetType = UNSET
    resets_at: str | UnsetType = UNSET


class OwnUsage(Struct, frozen=True):
    """The caller's key: its permissions and what it has left."""

    key: str
    scopes: list[str]
    models: list[str] | None
    expires_at: str | None
    limits: list[KeyLimit]
