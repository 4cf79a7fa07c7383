"""Prompts that users pick in their MCP client: each is about a file of the server and includes it."""

from collections.abc import Mapping

from mcp_types import EmbeddedResource, GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent
from msgspec import Struct

from api.core.caller import Caller
from api.core.problems import Problem, invalid_problem
from api.dialects.mcp.decode import to_uri
from api.dialects.mcp.resources import read_contents
from api.executors.tool_client import ToolClient

PATH_ARGUMENT = PromptArgument(name="path", description="The path of an allowed file.", required=True)


class PromptTemplate(Struct, frozen=True):
    """A prompt about a file. text: with `{extra}` for the second argument, or its default."""

    title: str
    description: str
    text: str
    extra: str
    extra_description: str
    default_extra: str


PROMPTS = {
    "review_file": PromptTemplate(
        "Review a file",
        "Look for faults in a file of the server.",
        "Review this file. Look for {extra}. Name each fault with its line, why it is one, and the fix.",
        "focus",
        "What to look for.",
        "faults of any kind, the gravest first",
    ),
    "explain_file": PromptTemplate(
        "Explain a file",
        "Explain what a file of the server is for and how it works.",
        "Explain this file to {extra}: what it is for, how it works, and what to mind when changing it.",
        "reader",
        "Who is to understand it.",
        "a programmer who sees it for the first time",
    ),
}


def list_prompts() -> list[Prompt]:
    """Returns all prompts."""
    return [
        Prompt(
            name=name,
            title=template.title,
            description=template.description,
            arguments=[PATH_ARGUMENT, PromptArgument(name=template.extra, description=template.extra_description)],
        )
        for name, template in PROMPTS.items()
    ]


async def render_prompt(
    name: str, arguments: Mapping[str, str] | None, tool_client: ToolClient, caller: Caller
) -> GetPromptResult:
    """Returns a prompt with its file. Raises Problem."""
    template = PROMPTS.get(name)
    if template is None:
        raise Problem(404, "not_found", f"Unknown prompt `{name[:100]}`. Available: {', '.join(PROMPTS)}.")
    arguments = arguments or {}
    path = arguments.get("path", "").strip()
    if not path.startswith("/"):
        raise invalid_problem("`path` must be the absolute path of an allowed file.", "path")
    file = await read_contents(to_uri(path), tool_client, caller)
    text = template.text.format(extra=arguments.get(template.extra) or template.default_extra)
    return GetPromptResult(
        description=template.description,
        messages=[
            PromptMessage(role="user", content=TextContent(text=f"{text}\n\n{path}:")),
            PromptMessage(role="user", content=EmbeddedResource(resource=file)),
        ],
    )
