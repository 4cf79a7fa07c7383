"""Lists the allowed paths as resources, and reads them by URI.

Invariants: only the tools role decides what may be read, as for all dialects.
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
        description="Any file or folder under the allowed paths. A folder reads as the list of its entries, in JSON.",
    )
]


async def list_resources(tool_client: ToolClient, caller: Caller) -> list[Resource]:
    """Returns the allowed paths and the entries of allowed folders."""
    status = await tool_client.find_available()
    if status is None:
        return []
    found: dict[str, Resource] = {}
    for path in status.allowed_paths:
        listing = await tool_client.get_result(ListFolder(path), caller)
        if isinstance(listing, FolderListing):
            found[path] = to_resource(
                FolderEntry(path, "folder"), f"An allowed folder with {len(listing.entries)} entries."
            )
            found |= {entry.path: to_resource(entry) for entry in listing.entries if entry.kind != "other"}
        else:
            found[path] = to_resource(FolderEntry(path, "file"))
    return list(found.values())[:MAX_RESOURCES]


def to_resource(entry: FolderEntry, description: str | None = None) -> Resource:
    """Converts a file or folder to a resource."""
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
    uri: str, tool_client: ToolClient, caller: Caller
) -> TextResourceContents | BlobResourceContents:
    """Returns the contents of a resource. Raises Problem."""
    path = to_path(uri)
    result = await tool_client.get_result(ReadFile(path), caller)
    if isinstance(result, Failed) and result.kind in {ErrorKind.BAD_JOB, ErrorKind.NOT_FOUND}:
        listing = await tool_client.get_result(ListFolder(path), caller)
        if isinstance(listing, FolderListing):
            entries = msgspec.json.encode(listing.entries).decode()
            return TextResourceContents(uri=uri, mime_type="application/json", text=entries)
    match result:
        case FileContent(text=str(text)):
            return TextResourceContents(uri=uri, mime_type=result.media_type, text=text)
        case FileContent():
            blob = base64.b64encode(result.data or b"").decode()
            return BlobResourceContents(uri=uri, mime_type=result.media_type, blob=blob)
        case Failed():
            raise problem_from_failure(result)
        case _:
            raise problem_from_failure(Failed(ErrorKind.EXECUTOR_LOST))
