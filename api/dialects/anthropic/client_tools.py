"""The tools that Anthropic defines and a client runs: a shell, an editor, a memory. Pure.

Invariants: the service knows these tools by their type, which the CLI cannot pass on. So they are offered as custom tools
with the documented names and input, and their calls have the form that the service would return.
(https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview)
"""

import re

import msgspec

from api.conversation.parts import ToolDefinition

type Json = dict[str, object]

STRING_SCHEMA: Json = {"type": "string"}
INTEGER_SCHEMA: Json = {"type": "integer"}
RANGE_SCHEMA: Json = {"type": "array", "items": INTEGER_SCHEMA, "minItems": 2, "maxItems": 2}
EDIT_FIELDS: Json = {
    "path": STRING_SCHEMA,
    "view_range": RANGE_SCHEMA,
    "file_text": STRING_SCHEMA,
    "old_str": STRING_SCHEMA,
    "new_str": STRING_SCHEMA,
}

EDIT_COMMANDS_HELP = (
    "`view` shows the file at `path`, of it the lines of `view_range` (first and last, from 1; -1 is the end), or what a "
    "folder holds. `create` writes `file_text` to `path`. `str_replace` puts `new_str` in the place of `old_str`, which must "
    "be in the file exactly once."
)


def _build_schema(commands: tuple[str, ...], fields: Json, *required: str) -> Json:
    properties: Json = {"command": {"type": "string", "enum": list(commands)}, **fields}
    return {"type": "object", "properties": properties, "required": ["command", *required]}


def _build_editor(name: str, insert_field: str, *more: str) -> ToolDefinition:
    commands = ("view", "create", "str_replace", "insert", *more)
    undo = " `undo_edit` takes back the last change of `path`." if more else ""
    insert = f" `insert` puts `{insert_field}` after the line `insert_line`; 0 is the beginning."
    schema = _build_schema(
        commands, {**EDIT_FIELDS, "insert_line": INTEGER_SCHEMA, insert_field: STRING_SCHEMA}, "path"
    )
    return _build_tool(name, f"Views and edits text files. {EDIT_COMMANDS_HELP}{insert}{undo}", schema)


def _build_tool(name: str, description: str, schema: Json) -> ToolDefinition:
    return ToolDefinition(name=name, description=description, input_schema=msgspec.Raw(msgspec.json.encode(schema)))


_BASH = _build_tool(
    "bash",
    "Runs a command in a shell that stays open between calls. `restart` begins a new one.",
    {"type": "object", "properties": {"command": STRING_SCHEMA, "restart": {"type": "boolean"}}},
)
_OLD_EDITOR = _build_editor("str_replace_editor", "new_str", "undo_edit")
_EDITOR = _build_editor("str_replace_based_edit_tool", "insert_text")
_MEMORY = _build_tool(
    "memory",
    "Keeps notes between conversations as files under `/memories`: look there before you begin, and write down what will be "
    f"needed later. {EDIT_COMMANDS_HELP} `insert` puts `insert_text` after the line `insert_line`; 0 is the beginning. `delete` removes "
    "`path`. `rename` moves `old_path` to `new_path`.",
    _build_schema(
        ("view", "create", "str_replace", "insert", "delete", "rename"),
        {
            **EDIT_FIELDS,
            "insert_line": INTEGER_SCHEMA,
            "insert_text": STRING_SCHEMA,
            "old_path": STRING_SCHEMA,
            "new_path": STRING_SCHEMA,
        },
    ),
)
# By type.
TOOLS_BY_TYPE = {
    "bash_20241022": _BASH,
    "bash_20250124": _BASH,
    "text_editor_20241022": _OLD_EDITOR,
    "text_editor_20250124": _OLD_EDITOR,
    "text_editor_20250429": _EDITOR,
    "text_editor_20250728": _EDITOR,
    "memory_20250818": _MEMORY,
}
# The latest version of each family, offered for versions that are not known yet.
LATEST_TOOLS = {"bash": _BASH, "text_editor": _EDITOR, "memory": _MEMORY}
VERSION_PATTERN = re.compile(r"(bash|text_editor|memory)_\d{8}", re.ASCII)


def find_client_tool(kind: str | None) -> tuple[ToolDefinition | None, bool]:
    """Returns the tool to offer for a type, if it is one of these, and whether exactly this version is known."""
    if kind is None:
        return None, True
    if tool := TOOLS_BY_TYPE.get(kind):
        return tool, True
    version = VERSION_PATTERN.fullmatch(kind)
    return (LATEST_TOOLS[version[1]] if version else None), False
