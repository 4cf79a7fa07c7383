"""The allowed paths as resources: listed, and read by their addresses.

Law: what may be read is decided by the tools role alone, as for every other door.
"""

import base64

import msgspec
from mcp_types import BlobResourceContents, Resource, ResourceTemplate, TextResourceContents

from api.core.caller import Asking
from api.core.problems import of_failure
from api.dialects.mcp.decode import path_of, uri
from api.executors.tool_client import Hands
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import Entry, FileRead, FolderListed, ListFolder, ReadFile

MOST = 1000
FOLDER = "inode/directory"
TEMPLATES = [
    ResourceTemplate(
        uri_template="file://{+path}",
        name="allowed-path",
        title="A file or folder",
        description="Any file or folder under the allowed paths. A folder reads as the list of what it holds, in JSON.",
    )
]


async def listed(hands: Hands, asking: Asking) -> list[Resource]:
    """The allowed paths and what is right in them."""
    status = await hands.serving()
    if status is None:
        return []
    found: dict[str, Resource] = {}
    for path in status.allowed_paths:
        inside = await hands.result(ListFolder(path), asking)
        if isinstance(inside, FolderListed):
            found[path] = described(Entry(path, "folder"), f"An allowed folder with {len(inside.entries)} entries.")
            found |= {entry.path: described(entry) for entry in inside.entries if entry.kind != "other"}
        else:
            found[path] = described(Entry(path, "file"))
    return list(found.values())[:MOST]


def described(entry: Entry, description: str | None = None) -> Resource:
    """A file or folder as a resource."""
    folder = entry.kind == "folder"
    return Resource(
        uri=uri(entry.path),
        name=entry.path.rpartition("/")[2] or entry.path,
        title=entry.path,
        description=description,
        mime_type=FOLDER if folder else None,
        size=None if folder else entry.size,
    )


async def contents(address: str, hands: Hands, asking: Asking) -> TextResourceContents | BlobResourceContents:
    """What is at an address. Raises Problem."""
    path = path_of(address)
    came = await hands.result(ReadFile(path), asking)
    if isinstance(came, Failed) and came.kind in {ErrorKind.BAD_JOB, ErrorKind.NOT_FOUND}:
        inside = await hands.result(ListFolder(path), asking)
        if isinstance(inside, FolderListed):
            listing = msgspec.json.encode(inside.entries).decode()
            return TextResourceContents(uri=address, mime_type="application/json", text=listing)
    match came:
        case FileRead(text=str(text)):
            return TextResourceContents(uri=address, mime_type=came.media_type, text=text)
        case FileRead():
            blob = base64.b64encode(came.data or b"").decode()
            return BlobResourceContents(uri=address, mime_type=came.media_type, blob=blob)
        case Failed():
            raise of_failure(came)
        case _:
            raise of_failure(Failed(ErrorKind.EXECUTOR_LOST))
