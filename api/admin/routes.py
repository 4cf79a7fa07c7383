"""The handlers of keys and usage."""

import time
import uuid
from collections.abc import Callable

from litestar import Request, Response, Router, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import structs

from api.accounting.meter import Books
from api.accounting.storage_sync import Keeper
from api.admin.decode import asked, changed, fields, missing, named, new, once, wants_csv
from api.admin.encode import own, record, report, table
from api.admin.models import KeyList, KeyRecord, OwnUsage, UsageReport
from api.auth.middleware import principal_of
from api.core.keys import Key, Keyring, digest, minted
from api.core.problems import Problem
from api.core.scopes import ANY, SCOPE
from api.database import keys as stored
from api.database import usage
from api.http import request_body

ADMIN = {SCOPE: "admin"}
# A key is told once, to who asked for it, and to nobody on the way.
ONCE = {"cache-control": "no-store"}


@post("/api/admin/keys", opt=ADMIN, status_code=201)
async def create_key(
    request: Request[object, object, State], keeper: NamedDependency[Keeper], keyring: NamedDependency[Keyring]
) -> Response[KeyRecord]:
    """Make a key."""
    said = fields(await request_body.read(request), name=True)
    key, secret = new(said, time.time()), minted()
    engine = keeper.engine
    key = structs.replace(key, id=uuid.uuid4().hex, digest=digest(secret, keyring.pepper))
    try:
        await stored.add(engine, key)
        await keeper.catch_up()
    except stored.NameTaken:
        message = f"There is a key `{key.name}` already. Take another name, or remove that one."
        raise Problem(409, "name_taken", message, param="name") from None
    return Response(record(key, secret), headers=ONCE, status_code=201)


@get("/api/admin/keys", opt=ADMIN)
async def list_keys(keeper: NamedDependency[Keeper]) -> Response[KeyList]:
    """List every key."""
    return Response(KeyList([record(key) for key in await stored.everyone(keeper.engine)]))


@get("/api/admin/keys/{name:str}", opt=ADMIN)
async def get_key(name: FromPath[str], keeper: NamedDependency[Keeper]) -> Response[KeyRecord]:
    """Tell of one key."""
    key = await stored.one(keeper.engine, named(name))
    if key is None:
        raise missing(name)
    return Response(record(key))


@patch("/api/admin/keys/{name:str}", opt=ADMIN)
async def change_key(
    request: Request[object, object, State], name: FromPath[str], keeper: NamedDependency[Keeper]
) -> Response[KeyRecord]:
    """Change what is said of a key."""
    said = fields(await request_body.read(request), name=False)
    return Response(record(await _changed(keeper, name, lambda key: changed(key, said, time.time()))))


@post("/api/admin/keys/{name:str}/rotate", opt=ADMIN, status_code=200)
async def rotate_key(
    name: FromPath[str], keeper: NamedDependency[Keeper], keyring: NamedDependency[Keyring]
) -> Response[KeyRecord]:
    """Put a new key in the place of an old one, which ends at once."""
    secret = minted()
    key = await _changed(keeper, name, lambda key: structs.replace(key, digest=digest(secret, keyring.pepper)))
    return Response(record(key, secret), headers=ONCE)


@delete("/api/admin/keys/{name:str}", opt=ADMIN, status_code=204)
async def delete_key(name: FromPath[str], keeper: NamedDependency[Keeper]) -> None:
    """Remove a key; its lines in the ledger stay."""
    if not await stored.remove(keeper.engine, named(name)):
        raise missing(name)
    await keeper.catch_up()


@get("/api/usage", opt=ADMIN)
async def get_usage(
    request: Request[object, object, State], keeper: NamedDependency[Keeper]
) -> Response[UsageReport] | Response[str]:
    """Tell what was used."""
    query = once(request.query_params.multi_items())
    what = asked(query, time.time())
    found = report(what, await usage.summed(keeper.engine, what))
    if wants_csv(query, request.headers.get("accept", "")):
        return Response(table(found), media_type="text/csv; charset=utf-8")
    return Response(found)


@get("/api/usage/me", opt={SCOPE: ANY})
async def get_own_usage(request: Request[object, object, State], books: NamedDependency[Books]) -> Response[OwnUsage]:
    """Tell the key that asks what it has left."""
    principal = principal_of(request)
    key = principal.key
    return Response(own(principal, books.used(key), await books.left(key)) if key else own(principal, {}, {}))


async def _changed(keeper: Keeper, name: str, change: Callable[[Key], Key]) -> Key:
    key = await stored.change(keeper.engine, named(name), change)
    if key is None:
        raise missing(name)
    await keeper.catch_up()
    return key


router = Router(
    "/",
    route_handlers=[
        *(create_key, list_keys, get_key, change_key, rotate_key, delete_key),
        *(get_usage, get_own_usage),
    ],
)
