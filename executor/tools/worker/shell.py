"""Parses shell text before it runs, to find the programs that it names. Pure.

Invariants: this module only makes refusals clear. The kernel enforces them: it runs only the programs found here.
"""

import re

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from executor.tools.task import JobRefused
from shared.errors import ErrorKind

# Built into the shell, and unable to do anything that the sandbox does not control.
SAFE_BUILTINS = frozenset(
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
FORBIDDEN_VARIABLES = re.compile(r"LD_.*|BASH_ENV|ENV|BASH_LOADABLES_PATH|GCONV_PATH|GLIBC_TUNABLES|LOCPATH|PATH")
PLAIN_WORD = re.compile(r"[A-Za-z0-9_./+\[:-]+")
MAX_NAME_SHOWN = 80

_parser = Parser(Language(tree_sitter_bash.language()))


def list_program_names(text: str) -> tuple[str, ...]:
    """Returns the programs that the text names, without the safe built-in ones. Raises JobRefused."""
    if "\0" in text:
        raise JobRefused(ErrorKind.BAD_JOB, "command: it can't contain a NUL character")
    if not text.strip():
        raise JobRefused(ErrorKind.BAD_JOB, "command: there is nothing to run")
    nodes = [_parser.parse(text.encode(errors="surrogatepass")).root_node]
    for each in nodes:
        nodes.extend(each.children)
    if nodes[0].has_error:
        raise JobRefused(ErrorKind.BAD_JOB, "command: this shell text can't be parsed")
    functions = {_get_text(name) for node in nodes if node.type == "function_definition" and (name := _find_name(node))}
    found: dict[str, None] = {}
    for node in nodes:
        if (
            node.type == "variable_assignment"
            and (name := _find_name(node))
            and FORBIDDEN_VARIABLES.fullmatch(_get_text(name))
        ):
            raise JobRefused(ErrorKind.NOT_ALLOWED, f"{_get_text(name)} can't be set in a command")
        if node.type == "command":
            program = _parse_command_name(node)
            if program not in SAFE_BUILTINS and program not in functions:
                found[program] = None
    return tuple(found)


def _parse_command_name(node: Node) -> str:
    name = _find_name(node)
    text = _get_text(name) if name else ""
    plain = name and [child.type for child in name.children] == ["word"] and PLAIN_WORD.fullmatch(text)
    if not plain:
        shown = text[:MAX_NAME_SHOWN]
        raise JobRefused(
            ErrorKind.NOT_ALLOWED, f"`{shown}`: a command is named by a plain word, so that it can be checked"
        )
    return text


def _find_name(node: Node) -> Node | None:
    return node.child_by_field_name("name")


def _get_text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")
