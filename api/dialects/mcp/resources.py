"""The allowed paths as resources: listed, and read by their addresses.

Invariants: what may be read is decided by the tools role alone, as for every other door.
"""

import base64

import msgspec
from mcp_types import BlobResourceContents, Resource, ResourceTemplate, TextResourceContents

from api.core.caller import Caller
from api.core.problems import problem_from_failure
from api.dialects.mcp.decode import to_path, to_uri
from api.executors.tool_client import ToolClient
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import FileContent, FolderEntry, FolderListing, ListFolder, ReadFile

MAX_RESOURCES = 1000
FOLDER_MIME_TYPE = "inode/directory"
RESOURCE_TEMPLATES = [
    ResourceTemplate(
        uri_template="file://{+path}",
        name="allowed-path",
        title="A file or folder",
        description="Any file or folder under the allowed paths. A folder reads as the list of what it holds, in JSON.",
    )
]


async def list_resources(tool_client: ToolClient, caller: Caller) -> list[Resource]:
    """The allowed paths and what is right in them."""
    status = await tool_client.find_available()
    if status is None:
        return []
    found: dict[str, Resource] = {}
    for path in status.allowed_paths:
        inside = await tool_client.get_result(ListFolder(path), caller)
        if isinstance(inside, FolderListing):
            found[path] = to_resource(
                FolderEntry(path, "folder"), f"An allowed folder with {len(inside.entries)} entries."
            )
            found |= {entry.path: to_resource(entry) for entry in inside.entries if entry.kind != "other"}
        else:
            found[path] = to_resource(FolderEntry(path, "file"))
    return list(found.values())[:MAX_RESOURCES]


def to_resource(entry: FolderEntry, description: str | None = None) -> Resource:
    """A file or folder as a resource."""
    folder = entry.kind == "folder"
    return Resource(
        uri=to_uri(entry.path),
        name=entry.path.rpartition("/")[2] or entry.path,
        title=entry.path,
        description=description,
        mime_type=FOLDER_MIME_TYPE if folder else None,
        size=None if folder else entry.size,
    )


async def read_contents(
    address: str, tool_client: ToolClient, caller: Caller
) -> TextResourceContents | BlobResourceContents:
    """What is at an address. Raises Problem."""
    path = to_path(address)
    came = await tool_client.get_result(ReadFile(path), caller)
    if isinstance(came, Failed) and came.kind in {ErrorKind.BAD_JOB, ErrorKind.NOT_FOUND}:
        inside = await tool_client.get_result(ListFolder(path), caller)
        if isinstance(inside, FolderListing):
            listing = msgspec.json.encode(inside.entries).decode()
            return TextResourceContents(uri=address, mime_type="application/json", text=listing)
    match came:
        case FileContent(text=str(text)):
            return TextResourceContents(uri=address, mime_type=came.media_type, text=text)
        case FileContent():
            blob = base64.b64encode(came.data or b"").decode()
            return BlobResourceContents(uri=address, mime_type=came.media_type, blob=blob)
        case Failed():
            raise problem_from_failure(came)
        case _:
            raise problem_from_failure(Failed(ErrorKind.EXECUTOR_LOST))
