"""Generates the reference tables of the documents from the code: `python -m tests.support.generate_docs`.

A table stands between `<!-- generated: NAME -->` and `<!-- end -->`. Text outside of these markers is written by hand.
In `.env.example`, the comment above each setting is its description.
"""

import re
import textwrap
from pathlib import Path

import api.settings
import executor.settings
from tests.support.doc_tables import GENERATORS, REPOSITORY, describe

MARKED = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
EXAMPLE = REPOSITORY / ".env.example"


def find_documents() -> list[Path]:
    """Lists the documents for readers."""
    names = ("README.md", "MANUAL.md", "CHANGELOG.md", "CONTRIBUTING.md")
    return [*(REPOSITORY / name for name in names), *sorted((REPOSITORY / "docs").glob("*.md"))]


def render(text: str) -> str:
    """Returns a document with each generated table replaced by its current content."""
    return MARKED.sub(lambda found: f"{found[1]}{GENERATORS[found[2]]()}\n{found[3]}", text)


def render_example(text: str) -> str:
    """Returns `.env.example` with the comment above each setting replaced by the setting's description."""
    fields = {**executor.settings.Settings.model_fields, **api.settings.Settings.model_fields}
    lines: list[str] = []
    comments: list[str] = []
    for line in text.splitlines():
        if line.startswith("# ") and not line.startswith("# ---"):
            comments.append(line)
            continue
        found = re.match(r"#([A-Z_]+)=", line)
        if found and (field := fields.get(found[1].lower())):
            description = describe(field).replace("`", "")
            comments = textwrap.wrap(
                description, 120, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
            )
        lines += [*comments, line]
        comments = []
    return "\n".join([*lines, *comments, ""])


def main() -> None:
    """Rewrites the documents whose generated parts are stale."""
    for path in (*find_documents(), EXAMPLE):
        text = path.read_text(encoding="utf-8")
        current = render_example(text) if path == EXAMPLE else render(text)
        if current != text:
            path.write_text(current, encoding="utf-8")


if __name__ == "__main__":
    main()
