"""Request and response bodies of /api/admin/keys and /api/usage. Times are RFC 3339, in UTC."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct

from api.core.keys import Allowance
from api.core.schema import doc
from api.core.scopes import KeyScope

MAX_LIMIT = 2**53
MAX_MODELS = 100

type ModelName = Annotated[str, Meta(min_length=1, max_length=128)]
type ModelNames = Annotated[list[ModelName], Meta(min_length=1, max_length=MAX_MODELS)]
# A limit of each minute, or of the running jobs, that were 0 would be a disabled key.
type PositiveCount = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
type Count = Annotated[int, Meta(ge=0, le=MAX_LIMIT)]
type Dollars = Annotated[float, Meta(ge=0, le=MAX_LIMIT)]


class KeyRecord(Struct, frozen=True):
    """A key. Only the response that creates or rotates a key has the field `key`."""

    id: Annotated[str, doc("The key's id. It never changes.")]
    name: Annotated[
        str,
        doc(
            "The name of the key, also in the ledger: 1 to 64 letters, digits, `.`, `_` or `-`; the first is a letter or a digit."
        ),
    ]
    scopes: Annotated[
        list[KeyScope],
        Meta(min_length=1),
        doc("The permissions of the key: `chat`, `code`, `files`, `bash`, `mcp`, `metrics`, `admin`."),
    ]
    models: Annotated[
        ModelNames | None, doc("The models that the key may use, by any of their names; null: all models.")
    ]
    created_at: Annotated[str, doc("When the key was created.")]
    expires_at: Annotated[str | None, doc("When the key expires; null: never.")]
    disabled: Annotated[bool, doc("Whether the key is disabled.")]
    requests_per_minute: Annotated[
        PositiveCount | None,
        doc("The most jobs that the key may start per minute; null, here and in the other limits: no limit."),
    ]
    tokens_per_minute: Annotated[PositiveCount | None, doc("The most tokens that the key may use per minute.")]
    concurrent_jobs: Annotated[PositiveCount | None, doc("The most jobs that the key may run at the same time.")]
    usd_per_day: Annotated[Dollars | None, doc("The most US dollars that the key may use per day (UTC).")]
    usd_per_month: Annotated[Dollars | None, doc("The most US dollars that the key may use per month (UTC).")]
    tokens_per_day: Annotated[Count | None, doc("The most tokens that the key may use per day (UTC).")]
    tokens_per_month: Annotated[Count | None, doc("The most tokens that the key may use per month (UTC).")]
    key: Annotated[str | UnsetType, doc("The key itself; only in the response that creates or rotates it.")] = UNSET


class KeyList(Struct, frozen=True):
    """All keys."""

    data: Annotated[list[KeyRecord], doc("The keys, by name.")]


KeyFields = defstruct(
    "KeyFields",
    [
        (name, KeyRecord.__annotations__[name] | UnsetType, UNSET)
        for name in ("name", "scopes", "models", "expires_at", "disabled", *Allowance.__struct_fields__)
    ],
    namespace={"__doc__": "The fields of a key that can be set; `name` only for a new key."},
    frozen=True,
)


class UsageRow(Struct, frozen=True):
    """The usage of one group of jobs."""

    jobs: Annotated[int, doc("The number of jobs.")]
    failed_jobs: Annotated[
        int, doc("The number of jobs that failed, whose client disconnected, or that a crash ended.")
    ]
    input_tokens: Annotated[int, doc("Input tokens, without tokens read from or written to the cache.")]
    output_tokens: Annotated[int, doc("Output tokens, reasoning included.")]
    cache_read_tokens: Annotated[int, doc("Tokens read from the service's cache.")]
    cache_write_tokens: Annotated[int, doc("Tokens written to the service's cache.")]
    reasoning_tokens: Annotated[int, doc("Output tokens that were used for reasoning.")]
    cost_usd: Annotated[
        float, doc("The cost in US dollars that the CLI reported; jobs without a reported cost count as 0.")
    ]
    seconds: Annotated[float, doc("The total duration of the jobs, in seconds.")]
    key: Annotated[str | UnsetType, doc("The name of the key; `owner` is API_SECRET_TOKEN.")] = UNSET
    model: Annotated[str | UnsetType, doc("The model; empty for jobs without a model.")] = UNSET
    dialect: Annotated[
        str | UnsetType,
        doc("The API that the jobs used: `chat`, `completions`, `responses`, `messages`, `rest` or `mcp`."),
    ] = UNSET
    day: Annotated[str | UnsetType, doc("The day, in UTC.")] = UNSET
    hour: Annotated[str | UnsetType, doc("The start of the hour, in UTC.")] = UNSET


class UsageReport(Struct, frozen=True):
    """The usage from `since` until `until`."""

    since: Annotated[str, doc("The start of the period, inclusive.")]
    until: Annotated[str, doc("The end of the period, exclusive.")]
    by: Annotated[list[str], doc("The fields by which the rows are grouped.")]
    rows: Annotated[list[UsageRow], doc("One row for each group.")]
    totals: Annotated[UsageRow, doc("The sums of all rows.")]


class KeyLimit(Struct, frozen=True):
    """One limit of a key. used and remaining are absent for limits that count running jobs."""

    name: Annotated[str, doc("The name.")]
    limit: Annotated[float, doc("The allowed amount.")]
    used: Annotated[float | UnsetType, doc("The used amount.")] = UNSET
    remaining: Annotated[float | UnsetType, doc("The remaining amount.")] = UNSET
    resets_at: Annotated[str | UnsetType, doc("When the limit resets.")] = UNSET


class OwnUsage(Struct, frozen=True):
    """The caller's key: its permissions, its limits and the remaining amounts."""

    key: Annotated[str, doc("The name.")]
    scopes: Annotated[list[KeyScope], doc("The permissions of the key.")]
    models: Annotated[list[str] | None, doc("The models that the key may use; null: all models.")]
    expires_at: Annotated[str | None, doc("When the key expires; null: never.")]
    limits: Annotated[list[KeyLimit], doc("The limits of the key.")]
