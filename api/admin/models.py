"""Request and response bodies of /api/admin/keys and /api/usage. Times are RFC 3339, in UTC."""

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from api.core.schema import doc


class KeyRecord(Struct, frozen=True):
    """A key. `key`, the key itself, is only in the response that created it."""

    id: Annotated[str, doc("The key's id, which never changes.")]
    name: Annotated[str, doc("Its name, as the ledger has it: 1 to 64 letters, digits, `.`, `_` or `-`.")]
    scopes: Annotated[list[str], doc("What it may do: `chat`, `code`, `files`, `bash`, `mcp`, `metrics`, `admin`.")]
    models: Annotated[list[str] | None, doc("The models it may use, by any of their names; null is all.")]
    created_at: Annotated[str, doc("When it was made.")]
    expires_at: Annotated[str | None, doc("When it ends; null is never.")]
    disabled: Annotated[bool, doc("Whether it is shut out.")]
    requests_per_minute: Annotated[int | None, doc("Jobs it may begin in a minute; null is no limit, here and below.")]
    tokens_per_minute: Annotated[int | None, doc("Tokens it may use in a minute.")]
    concurrent_jobs: Annotated[int | None, doc("Jobs it may have at once.")]
    usd_per_day: Annotated[float | None, doc("US dollars it may use in a day of UTC.")]
    usd_per_month: Annotated[float | None, doc("US dollars it may use in a month of UTC.")]
    tokens_per_day: Annotated[int | None, doc("Tokens it may use in a day of UTC.")]
    tokens_per_month: Annotated[int | None, doc("Tokens it may use in a month of UTC.")]
    key: Annotated[str | UnsetType, doc("The key itself, only where it is made.")] = UNSET


class KeyList(Struct, frozen=True):
    """All keys."""

    data: Annotated[list[KeyRecord], doc("The keys, by name.")]


class KeyFields(Struct, frozen=True):
    """The settable fields of a key; `name` only for a new one."""

    name: Annotated[
        str | UnsetType, doc("Its name, as the ledger has it: 1 to 64 letters, digits, `.`, `_` or `-`.")
    ] = UNSET
    scopes: Annotated[
        list[str] | UnsetType, doc("What it may do: `chat`, `code`, `files`, `bash`, `mcp`, `metrics`, `admin`.")
    ] = UNSET
    models: Annotated[
        list[str] | UnsetType | None, doc("The models it may use, by any of their names; null is all.")
    ] = UNSET
    expires_at: Annotated[str | UnsetType | None, doc("When it ends; null is never.")] = UNSET
    disabled: Annotated[bool | UnsetType, doc("Whether it is shut out.")] = UNSET
    requests_per_minute: Annotated[
        int | UnsetType | None, doc("Jobs it may begin in a minute; null is no limit, here and below.")
    ] = UNSET
    tokens_per_minute: Annotated[int | UnsetType | None, doc("Tokens it may use in a minute.")] = UNSET
    concurrent_jobs: Annotated[int | UnsetType | None, doc("Jobs it may have at once.")] = UNSET
    usd_per_day: Annotated[float | UnsetType | None, doc("US dollars it may use in a day of UTC.")] = UNSET
    usd_per_month: Annotated[float | UnsetType | None, doc("US dollars it may use in a month of UTC.")] = UNSET
    tokens_per_day: Annotated[int | UnsetType | None, doc("Tokens it may use in a day of UTC.")] = UNSET
    tokens_per_month: Annotated[int | UnsetType | None, doc("Tokens it may use in a month of UTC.")] = UNSET


class UsageRow(Struct, frozen=True):
    """The sums of one group of jobs."""

    jobs: Annotated[int, doc("How many jobs.")]
    failed_jobs: Annotated[int, doc("Those of them that failed, were hung up on, or were lost in a crash.")]
    input_tokens: Annotated[int, doc("Tokens read, but for the cache's.")]
    output_tokens: Annotated[int, doc("Tokens written.")]
    cache_read_tokens: Annotated[int, doc("Tokens read from the service's cache.")]
    cache_write_tokens: Annotated[int, doc("Tokens written to the service's cache.")]
    reasoning_tokens: Annotated[int, doc("Those of the tokens written that were thought.")]
    cost_usd: Annotated[float, doc("What it cost by the CLI's own count, where it said so.")]
    seconds: Annotated[float, doc("How long the jobs took, together.")]
    key: Annotated[str | UnsetType, doc("The key's name; `owner` is API_SECRET_TOKEN.")] = UNSET
    model: Annotated[str | UnsetType, doc("The model; empty for jobs without one.")] = UNSET
    dialect: Annotated[str | UnsetType, doc("The door that the jobs came by.")] = UNSET
    day: Annotated[str | UnsetType, doc("The day, in UTC.")] = UNSET
    hour: Annotated[str | UnsetType, doc("When the hour begins.")] = UNSET


class UsageReport(Struct, frozen=True):
    """The usage from `since` until `until`."""

    since: Annotated[str, doc("The first moment.")]
    until: Annotated[str, doc("The moment after the last.")]
    by: Annotated[list[str], doc("What the rows are grouped by.")]
    rows: Annotated[list[UsageRow], doc("The groups.")]
    totals: Annotated[UsageRow, doc("All together.")]


class KeyLimit(Struct, frozen=True):
    """One limit of a key. used and remaining are absent for limits that count running jobs."""

    name: Annotated[str, doc("Its name.")]
    limit: Annotated[float, doc("How much it allows.")]
    used: Annotated[float | UnsetType, doc("How much is used.")] = UNSET
    remaining: Annotated[float | UnsetType, doc("How much is left.")] = UNSET
    resets_at: Annotated[str | UnsetType, doc("When it resets.")] = UNSET


class OwnUsage(Struct, frozen=True):
    """The caller's key: its permissions and what it has left."""

    key: Annotated[str, doc("Its name.")]
    scopes: Annotated[list[str], doc("What it may do.")]
    models: Annotated[list[str] | None, doc("The models it may use; null is all.")]
    expires_at: Annotated[str | None, doc("When it ends; null is never.")]
    limits: Annotated[list[KeyLimit], doc("Its limits.")]
