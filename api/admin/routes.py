"""The handlers of /api/admin/keys and /api/usage."""

import time
import uuid
from collections.abc import Callable

from litestar import Request, Response, Router, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import structs

from api.accounting.meter import Meter
from api.accounting.storage_sync import StorageSync
from api.admin.decode import (
    apply_changes,
    build_key,
    check_name,
    merge_query,
    missing_key_problem,
    parse_fields,
    parse_usage_query,
    wants_csv,
)
from api.admin.encode import build_own_usage, build_record, build_report, render_csv
from api.admin.held import end_held_conversations
from api.admin.models import KeyFields, KeyList, KeyRecord, OwnUsage, UsageReport
from api.auth.middleware import get_principal
from api.core.endpoint import ENDPOINT, Endpoint
from api.core.keys import Key, Keyring, generate_key, hash_key
from api.core.problems import Problem
from api.core.scopes import ANY_SCOPE, REQUIRED_SCOPE
from api.database import keys as stored
from api.database import usage
from api.http import request_body

ADMIN = {REQUIRED_SCOPE: "admin"}
# A key is shown once; no proxy may store it.
NO_STORE = {"cache-control": "no-store"}


@post("/api/admin/keys", opt={ENDPOINT: Endpoint(KeyRecord, KeyFields, errors=(409,)), **ADMIN}, status_code=201)
async def create_key(
    request: Request[object, object, State],
    storage_sync: NamedDependency[StorageSync],
    keyring: NamedDependency[Keyring],
) -> Response[KeyRecord]:
    """Create a key.

    Only this answer has the key itself, in `key`. It is valid within a second on every host.
    """
    fields = parse_fields(await request_body.read(request), name=True)
    key, secret = build_key(fields, time.time()), generate_key()
    engine = storage_sync.engine
    key = structs.replace(key, id=uuid.uuid4().hex, digest=hash_key(secret, keyring.pepper))
    try:
        await stored.add(engine, key)
        await storage_sync.reload_keys()
    except stored.DuplicateKeyName:
        message = f"There is a key `{key.name}` already. Take another name, or remove that one."
        raise Problem(409, "name_taken", message, param="name") from None
    return Response(build_record(key, secret), headers=NO_STORE, status_code=201)


@get("/api/admin/keys", opt={ENDPOINT: Endpoint(KeyList), **ADMIN})
async def list_keys(storage_sync: NamedDependency[StorageSync]) -> Response[KeyList]:
    """List every key."""
    return Response(KeyList([build_record(key) for key in await stored.list_keys(storage_sync.engine)]))


@get("/api/admin/keys/{name:str}", opt={ENDPOINT: Endpoint(KeyRecord), **ADMIN})
async def get_key(name: FromPath[str], storage_sync: NamedDependency[StorageSync]) -> Response[KeyRecord]:
    """Look up a key.

    Returns the record, without the key itself.
    """
    key = await stored.find_key(storage_sync.engine, check_name(name))
    if key is None:
        raise missing_key_problem(name)
    return Response(build_record(key))


@patch("/api/admin/keys/{name:str}", opt={ENDPOINT: Endpoint(KeyRecord, KeyFields, errors=(409,)), **ADMIN})
async def change_key(
    request: Request[object, object, State], name: FromPath[str], storage_sync: NamedDependency[StorageSync]
) -> Response[KeyRecord]:
    """Change a key.

    Only the fields that are sent change; null removes a limit.
    """
    fields = parse_fields(await request_body.read(request), name=False)
    return Response(
        build_record(await _update_key(storage_sync, name, lambda key: apply_changes(key, fields, time.time())))
    )


@post("/api/admin/keys/{name:str}/rotate", opt={ENDPOINT: Endpoint(KeyRecord), **ADMIN}, status_code=200)
async def rotate_key(
    name: FromPath[str], storage_sync: NamedDependency[StorageSync], keyring: NamedDependency[Keyring]
) -> Response[KeyRecord]:
    """Replace a key.

    The old key ends at once. Only this answer has the new one, in `key`.
    """
    secret = generate_key()
    key = await _update_key(
        storage_sync, name, lambda key: structs.replace(key, digest=hash_key(secret, keyring.pepper))
    )
    return Response(build_record(key, secret), headers=NO_STORE)


@delete("/api/admin/keys/{name:str}", opt={ENDPOINT: Endpoint(), **ADMIN}, status_code=204)
async def delete_key(name: FromPath[str], storage_sync: NamedDependency[StorageSync]) -> None:
    """Remove a key.

    Its records in the ledger stay.
    """
    if not await stored.remove(storage_sync.engine, check_name(name)):
        raise missing_key_problem(name)
    await storage_sync.reload_keys()


@get("/api/usage", opt={ENDPOINT: Endpoint(UsageReport, csv=True), **ADMIN})
async def get_usage(
    request: Request[object, object, State], storage_sync: NamedDependency[StorageSync]
) -> Response[UsageReport] | Response[str]:
    """Sum up usage.

    Returns sums over the ledger's records, which are written about a second after a job ends.
    """
    query = merge_query(request.query_params.multi_items())
    report_query = parse_usage_query(query, time.time())
    report = build_report(report_query, await usage.sum_usage(storage_sync.engine, report_query))
    if wants_csv(query, request.headers.get("accept", "")):
        return Response(render_csv(report), media_type="text/csv; charset=utf-8")
    return Response(report)


@get("/api/usage/me", opt={ENDPOINT: Endpoint(OwnUsage), REQUIRED_SCOPE: ANY_SCOPE})
async def get_own_usage(request: Request[object, object, State], meter: NamedDependency[Meter]) -> Response[OwnUsage]:
    """Show a key's own usage.

    Returns what the request's key may do, and what is left of its limits.
    """
    principal = get_principal(request)
    key = principal.key
    return Response(
        build_own_usage(principal, meter.get_usage(key), await meter.get_remaining(key))
        if key
        else build_own_usage(principal, {}, {})
    )


async def _update_key(storage_sync: StorageSync, name: str, change: Callable[[Key], Key]) -> Key:
    key = await stored.change(storage_sync.engine, check_name(name), change)
    if key is None:
        raise missing_key_problem(name)
    await storage_sync.reload_keys()
    return key


router = Router(
    "/",
    tags=["Keys"],
    route_handlers=[
        *(create_key, list_keys, get_key, change_key, rotate_key, delete_key),
        *(get_usage, get_own_usage, end_held_conversations),
    ],
)
