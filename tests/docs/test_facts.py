"""Facts that the documents repeat: sizes, counts, prompts and the places of the key."""

import re

from api.conversation import tools
from api.conversation.fields import MAX_STOP_SEQUENCES
from api.dialects.openai_completions import decode as completions
from api.http import request_body
from api.media import blocks
from cli.running_server import UNIT_KEY_FILE
from cli.up.command import DEFAULT_RUN_DIR, TOKEN_FILE
from tests.support.doc_tables import REPOSITORY
from tests.support.manual import MANUAL, find_section, read_page


def test_the_limits_are_those_of_the_code():
    """Sizes and counts."""
    limits = " ".join(read_page("limits").split())
    sizes = {
        "A body": request_body.MAX_BODY_BYTES,
        "an image": blocks.MAX_IMAGE_BYTES,
        "a file": blocks.MAX_FILE_BYTES,
    }
    for what, size in sizes.items():
        assert re.search(rf"{what}( may have)? {size // 2**20} MiB", limits)
    assert f"{tools.MAX_TOOLS} tools" in limits
    assert f"{MAX_STOP_SEQUENCES} `stop` texts" in limits
    assert f"one text or up to {MAX_STOP_SEQUENCES}." in read_page("chat-completions")
    assert f"`stop`: up to {MAX_STOP_SEQUENCES}." in read_page("completions")
    assert f"{blocks.MAX_IMAGE_SIDE} pixels" in read_page("files")


def test_the_prompts_of_legacy_completions_are_quoted():
    """The exact system texts."""
    plain = read_page("completions").replace("\n> ", " ").replace("\\<", "<")
    assert completions.CONTINUE_PROMPT in plain
    assert completions.FILL_PROMPT in plain


def test_the_place_of_the_key_is_named_for_each_installation():
    """At the start of the manual, whose examples need the key."""
    unit = (REPOSITORY / "deploy/systemd/claude-api.service").read_text(encoding="utf-8")
    compose = (REPOSITORY / "deploy/compose/compose.yaml").read_text(encoding="utf-8")
    of_unit = re.search(r"^LoadCredential=API_SECRET_TOKEN:(\S+)$", unit, re.MULTILINE)
    of_container = re.search(r"^  api-secret-token: \{file: (\S+)\}$", compose, re.MULTILINE)
    assert of_unit
    assert of_container
    head = MANUAL.partition("\n## ")[0]
    for place in (f"{DEFAULT_RUN_DIR}/{TOKEN_FILE}", of_unit[1], f"deploy/compose/{of_container[1]}"):
        assert f"cat {place})" in head
    assert str(UNIT_KEY_FILE) == of_unit[1]


def test_the_figures_of_the_bench_have_their_place():
    """The table of `make bench` is pasted at this mark."""
    assert "<!-- bench -->" in find_section("Speed")
