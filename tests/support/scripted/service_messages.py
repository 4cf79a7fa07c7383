"""The rules of messages and of what they hold."""

from collections.abc import Callable, Iterator, Mapping

from tests.support.scripted.service_request import Json, Place, Request, to_blocks

USER_ONLY = {"image", "document", "search_result", "tool_result", "container_upload", "tool_addition", "tool_removal"}
ASSISTANT_ONLY = {
    *("thinking", "redacted_thinking", "tool_use", "server_tool_use", "mcp_tool_use", "fallback", "compaction"),
    *("web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result", "mcp_tool_result"),
    *("bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_search_tool_result"),
    "advisor_tool_result",
}
KNOWN_BLOCKS = {"text", *USER_ONLY, *ASSISTANT_ONLY}
RESULT_BLOCKS = {"text", "image", "document", "search_result", "tool_reference"}
DOCUMENT_BLOCKS = {"text", "image"}


def find_no_messages(request: Request) -> Iterator[str]:
    """There is something to answer."""
    if not request.messages:
        yield "messages: at least one message is required"


def find_unknown_blocks(request: Request) -> Iterator[str]:
    """A block's type is one of those that the service has for its place."""
    for place in request.blocks():
        match place.within:
            case ():
                known = KNOWN_BLOCKS if place.role != "system" else {"text"}
            case (*_, "tool_result"):
                known = RESULT_BLOCKS
            case _:
                known = DOCUMENT_BLOCKS
        if place.kind not in known:
            expected = ", ".join(map(repr, sorted(known)))
            yield (
                f"{place.at}: Input tag '{place.kind}' found using 'type' does not match any of the expected tags: "
                f"{expected}"
            )


def find_blocks_of_the_other_role(request: Request) -> Iterator[str]:
    """Some blocks are said by one side only."""
    for place in request.blocks():
        for role, kinds in (("user", USER_ONLY), ("assistant", ASSISTANT_ONLY)):
            if not place.within and place.kind in kinds and place.role not in {role, "system"}:
                yield f"{place.at}: `{place.kind}` blocks can only be in `{role}` messages"


def find_empty_content(request: Request) -> Iterator[str]:
    """Every message says something, but for an assistant's that is the last."""
    for number, message in enumerate(request.messages[:-1]):
        if not message["content"] and message["role"] != "system":
            yield f"messages.{number}: all messages must have non-empty content except for the optional final assistant message"
    if request.messages and not request.messages[-1]["content"] and request.messages[-1]["role"] == "user":
        yield f"messages.{len(request.messages) - 1}: user messages must have non-empty content"


def find_blank_texts(request: Request) -> Iterator[str]:
    """A text has something to see; in a result it may be white space alone, but not nothing."""
    system = [Place(f"system.{number}", "", block) for number, block in enumerate(_system(request))]
    for place in (*system, *request.blocks()):
        if place.kind != "text":
            continue
        if not place.block["text"]:
            yield f"{place.at}: text content blocks must be non-empty"
        elif not place.block["text"].strip() and not place.within:
            yield f"{place.at}: text content blocks must contain non-whitespace text"


def _system(request: Request) -> list[Json]:
    system = request.body.get("system") or []
    return to_blocks(system)


def find_prefill(request: Request) -> Iterator[str]:
    """Newer models do not go on with words that are given to them; older ones not after white space."""
    if not request.messages or request.messages[-1]["role"] != "assistant":
        return
    if not request.model.takes_prefill:
        yield ("This model does not support assistant message prefill. The conversation must end with a user message.")
    blocks = to_blocks(request.messages[-1]["content"])
    if blocks and blocks[-1]["type"] == "text" and blocks[-1]["text"] != blocks[-1]["text"].rstrip():
        yield "messages: final assistant content cannot end with trailing whitespace"


def find_instructions(request: Request) -> Iterator[str]:
    """Where messages of the role `system` may stand, and what they hold.

    The CLI's own form without words, which only carries `output_config`, is taken where the CLI's header announces it.
    """
    messages = request.messages
    for number, message in enumerate(messages):
        if message["role"] != "system":
            continue
        at = f"messages.{number}"
        if not request.model.takes_instructions:
            yield f"{at}: role 'system' is not supported on this model"
        if number == 0:
            yield f"{at}: role 'system' must not be the first message; use the top-level `system` parameter"
        elif messages[number - 1]["role"] != "user":
            yield f"{at}: role 'system' must immediately follow a user message"
        if number + 1 < len(messages) and messages[number + 1]["role"] != "assistant":
            yield f"{at}: role 'system' must be last or followed by an assistant message"
        if not message["content"] and not _has_only_effort(request, message):
            yield f"{at}: system messages must have non-empty content"
        if not set(message) <= {"role", "content", "output_config"}:
            yield f"{at}: Extra inputs are not permitted"


def _has_only_effort(request: Request, message: Json) -> bool:
    announced = "per-turn-control" in request.headers.get("anthropic-beta", "")
    return announced and message["content"] == [] and bool(message.get("output_config"))


def find_extra_fields(request: Request) -> Iterator[str]:
    """A message is a role and content."""
    for number, message in enumerate(request.messages):
        if message["role"] != "system" and (extra := sorted(set(message) - {"role", "content"})):
            yield f"messages.{number}.{extra[0]}: Extra inputs are not permitted"


MESSAGE_RULES: Mapping[str, Callable[[Request], Iterator[str]]] = {
    "no_messages": find_no_messages,
    "message_fields": find_extra_fields,
    "block_types": find_unknown_blocks,
    "block_roles": find_blocks_of_the_other_role,
    "empty_content": find_empty_content,
    "blank_texts": find_blank_texts,
    "prefill": find_prefill,
    "system_role": find_instructions,
}
