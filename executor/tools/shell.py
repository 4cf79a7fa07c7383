"""Shell text, looked at before it runs: which programs it names. Pure.

Law: this makes the refusal clear; what holds is the kernel, which runs no other program than those found here.
"""

import re

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from executor.tools.refusal import Refused
from shared.errors import ErrorKind

# Built into the shell, and without a power that the sandbox would not hold.
HARMLESS = frozenset(
    [
        "cd",
        "true",
        "false",
        "test",
        "[",
        "printf",
        "read",
        ":",
        "exit",
        "break",
        "continue",
        "return",
        "shift",
        "set",
        "unset",
        "export",
        "local",
        "declare",
        "readonly",
        "wait",
        "let",
        "getopts",
    ]
)
NOT_TO_BE_SET = re.compile(r"LD_.*|BASH_ENV|ENV|BASH_LOADABLES_PATH|GCONV_PATH|GLIBC_TUNABLES|LOCPATH|PATH")
PLAIN = re.compile(r"[A-Za-z0-9_./+\[:-]+")
NAMED = 80

_parser = Parser(Language(tree_sitter_bash.language()))


def names(text: str) -> tuple[str, ...]:
    """Every program that the text names, but for the harmless built-in ones. Raises Refused."""
    if "\0" in text:
        raise Refused(ErrorKind.BAD_JOB, "command: a NUL character can't be in a command")
    if not text.strip():
        raise Refused(ErrorKind.BAD_JOB, "command: there is nothing to run")
    nodes = _all(_parser.parse(text.encode(errors="surrogatepass")).root_node)
    if nodes[0].has_error:
        raise Refused(ErrorKind.BAD_JOB, "command: this is not shell text that can be understood")
    functions = {_text(name) for node in nodes if node.type == "function_definition" and (name := _field(node))}
    found: dict[str, None] = {}
    for node in nodes:
        if node.type == "variable_assignment" and (name := _field(node)) and NOT_TO_BE_SET.fullmatch(_text(name)):
            raise Refused(ErrorKind.NOT_ALLOWED, f"{_text(name)} can't be set in a command")
        if node.type == "command":
            named = _command(node)
            if named not in HARMLESS and named not in functions:
                found[named] = None
    return tuple(found)


def _command(node: Node) -> str:
    name = _field(node)
    text = _text(name) if name else ""
    plain = name and [child.type for child in name.children] == ["word"] and PLAIN.fullmatch(text)
    if not plain:
        shown = text[:NAMED]
        raise Refused(
            ErrorKind.NOT_ALLOWED, f"`{shown}`: a command is named by a plain word, so that it can be checked"
        )
    return text


def _field(node: Node) -> Node | None:
    return node.child_by_field_name("name")


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def _all(node: Node) -> list[Node]:
    found = [node]
    for each in found:
        found.extend(each.children)
    return found
