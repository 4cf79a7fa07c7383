"""Prompts that people may pick in their programs: each about one of the server's files, which comes with it."""

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
    """words: what is asked of the file; `{extra}` is the other argument, or what stands in for it."""

    title: str
    description: str
    text: str
    extra: str
    extra_description: str
    default_extra: str


PROMPTS = {
    "review_file": PromptTemplate(
        "Review a file",
        "Look for faults in a file of the server's.",
        "Review this file. Look for {extra}. Name each fault with its line, why it is one, and the fix.",
        "focus",
        "What to look for.",
        "faults of any kind, the gravest first",
    ),
    "explain_file": PromptTemplate(
        "Explain a file",
        "Say what a file of the server's is for and how it works.",
        "Explain this file to {extra}: what it is for, how it works, and what to mind when changing it.",
        "reader",
        "Who is to understand it.",
        "a programmer who sees it for the first time",
    ),
}


def list_prompts() -> list[Prompt]:
    """Every prompt."""
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
    """A prompt with its file. Raises Problem."""
    template = PROMPTS.get(name)
    if template is None:
        raise Problem(404, "not_found", f"There is no prompt `{name[:100]}`; there are {', '.join(PROMPTS)}.")
    given = arguments or {}
    path = given.get("path", "").strip()
    if not path.startswith("/"):
        raise invalid_problem("`path` must be the whole path of an allowed file.", "path")
    file = await read_contents(to_uri(path), tool_client, caller)
    words = template.text.format(extra=given.get(template.extra) or template.default_extra)
    return GetPromptResult(
        description=template.description,
        messages=[
            PromptMessage(role="user", content=TextContent(text=f"{words}\n\n{path}:")),
            PromptMessage(role="user", content=EmbeddedResource(resource=file)),
        ],
    )
