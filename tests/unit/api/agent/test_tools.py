"""The server's own tools: a model's call as a job, and what came of it as a result."""

import json

import pytest
from msgspec import structs

from api.agent.tool_calls import InvalidToolCall, build_job, summarize_arguments
from api.agent.tool_definitions import TOOL_NAMES, build_tool, list_available_tools
from api.agent.tool_results import MAX_OUTPUT_LENGTH, build_tool_result
from shared.errors import ErrorKind
from shared.events import Failed
from shared.tool_jobs import (
    CommandOutput,
    CommandResult,
    EditFile,
    FileContent,
    FindFiles,
    JobResult,
    PdfPage,
    PdfPages,
    ReadFile,
    RunCommand,
    SearchFiles,
    SearchMatches,
    ToolJob,
    ToolsStatus,
    WriteFile,
)
from shared.turn import Image, Text

HUGE = (2_000_000_000, 2**64, 2**70, f'"{2**70}"')
STATUS = ToolsStatus(("/a",), ("/w",), ("cat", "ls"), 4, 0, 0, draining=False)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("Read", '{"file_path":"/a/x","offset":3,"limit":"5"}', ReadFile("/a/x", 3, 5, (1, 10), as_text=True)),
        ("Read", '{"file_path":"/a/x"}', ReadFile("/a/x", None, 2000, (1, 10), as_text=True)),
        ("Read", '{"file_path":"/a/x.pdf","pages":"11-30"}', ReadFile("/a/x.pdf", None, 2000, (11, 30), as_text=True)),
        ("Read", '{"file_path":"/a/x.pdf","pages":7}', ReadFile("/a/x.pdf", None, 2000, (7, 7), as_text=True)),
        ("Read", '{"file_path":"/a/x.pdf","pages":" 7 - "}', ReadFile("/a/x.pdf", None, 2000, (7, 16), as_text=True)),
        ("Glob", '{"pattern":"**/*.py","path":"/a"}', FindFiles("**/*.py", "/a")),
        (
            "Grep",
            '{"pattern":"x","output_mode":"content","-i":true,"-C":2,"-A":1,"-n":false,"type":"py","head_limit":9}',
            SearchFiles("x", None, None, "py", "content", True, False, False, 2, 1, 9),
        ),
        (
            "Bash",
            '{"command":"ls","timeout":1500,"description":"Lists"}',
            RunCommand("ls", None, 1.5, merge_streams=True),
        ),
        # A model may ask for more than there is: it gets what there is.
        ("Bash", '{"command":"ls","timeout":300000}', RunCommand("ls", None, 120, merge_streams=True)),
        ("Write", '{"file_path":"/w/x","content":""}', WriteFile("/w/x", "")),
        (
            "Edit",
            '{"file_path":"/w/x","old_string":"a","new_string":"b","replace_all":true}',
            EditFile("/w/x", "a", "b", replace_all=True),
        ),
    ],
)
def test_call_becomes_the_job_it_asks_for(name: str, arguments: str, expected: ToolJob):
    """In the units of jobs."""
    assert build_job(name, arguments, TOOL_NAMES, 120) == expected


@pytest.mark.parametrize(
    ("name", "arguments", "word"),
    [
        ("Read", "{}", "file_path"),
        ("Read", '{"file_path":"x","offset":0}', "offset"),
        ("Read", '{"file_path":"x","limit":0}', "limit"),
        ("Read", '{"file_path":"x","pages":"0-3"}', "pages"),
        ("Read", '{"file_path":"x","pages":"3-2"}', "pages"),
        ("Read", '{"file_path":"x","pages":"1-21"}', "at most 20"),
        ("Read", '{"file_path":"x","pages":"all"}', "pages"),
        ("Read", '{"path":"x"}', "path"),
        ("Read", "[", "Read"),
        ("Grep", '{"pattern":"x","output_mode":"lines"}', "files_with_matches"),
        ("Grep", '{"pattern":"x","-A":-1}', "-A"),
        ("Grep", '{"pattern":"x","head_limit":0}', "head_limit"),
        *(("Read", f'{{"file_path":"x","offset":{number}}}', "offset") for number in HUGE),
        *(("Read", f'{{"file_path":"x","limit":{number}}}', "limit") for number in HUGE),
        *(("Grep", f'{{"pattern":"x","-A":{number}}}', "-A") for number in HUGE),
        *(("Grep", f'{{"pattern":"x","-B":{number}}}', "-B") for number in HUGE),
        *(("Grep", f'{{"pattern":"x","-C":{number}}}', "-C") for number in HUGE),
        *(("Grep", f'{{"pattern":"x","head_limit":{number}}}', "head_limit") for number in HUGE),
        ("Read", f'{{"file_path":"x","pages":{10**20}}}', "pages"),
        ("Read", '{"file_path":""}', "file_path"),
        ("Write", '{"file_path":"","content":"x"}', "file_path"),
        ("Edit", '{"file_path":"","old_string":"a","new_string":"b"}', "file_path"),
        ("Glob", '{"pattern":""}', "pattern"),
        ("Grep", '{"pattern":"x","path":""}', "path"),
        ("Bash", '{"command":"ls","cwd":""}', "cwd"),
        ("Bash", '{"command":" "}', "command"),
        ("Bash", '{"command":"ls","timeout":0}', "timeout"),
        ("Edit", '{"file_path":"x","old_string":"","new_string":"b"}', "old_string"),
        ("Edit", '{"file_path":"x","old_string":"b","new_string":"b"}', "same"),
        ("WebFetch", "{}", "Read, Glob"),
    ],
)
def test_an_impossible_call_is_refused_with_the_fix(name: str, arguments: str, word: str):
    """By the name of the argument."""
    made = build_job(name, arguments, TOOL_NAMES, 120)
    assert isinstance(made, InvalidToolCall)
    assert word in made.text
    assert len(made.text) < 1000


def told(came: JobResult | Failed | InvalidToolCall, *output: CommandOutput) -> tuple[str, bool]:
    """The text of a result, and whether it is an error."""
    result = build_tool_result("toolu_1", came, output, STATUS)
    return "".join(block.text for block in result.content if isinstance(block, Text)), result.is_error


def test_lines_are_numbered_and_the_rest_is_told_of():
    """As `cat -n` prints them."""
    file = FileContent("/a/x", 99, "text/plain", text="b\nc\n", first_line=2, lines=9)
    assert told(file) == ("     2\tb\n     3\tc\n(Lines 2 to 3 of 9. Continue with offset 4.)", False)
    assert told(FileContent("/a/x", 0, "text/plain", text=""))[0] == "The file is empty."


def test_more_lines_are_told_of_where_nobody_counted_them():
    """A large file is not read to its end."""
    file = FileContent("/a/x", 9 << 30, "text/plain", text="b\n", first_line=2)
    assert told(file)[0] == "     2\tb\n(Lines 2 to 2. Continue with offset 3.)"


def test_time_that_is_offered_is_the_servers_own():
    """And no longer one."""
    schema = json.loads(build_tool("Bash", structs.replace(STATUS, command_timeout=90)).schema)
    assert schema["properties"]["timeout"]["maximum"] == 90_000
    assert "to 90000" in schema["properties"]["timeout"]["description"]


def test_outputs_are_merged_in_order_and_the_status_is_told():
    """Letters that were cut between two pieces are whole again."""
    euro = "€".encode()
    pieces = (
        CommandOutput("stdout", b"a" + euro[:1]),
        CommandOutput("stdout", euro[1:]),
        CommandOutput("stderr", b"!\n"),
    )
    assert told(CommandResult(2), *pieces) == ("a€!\nExit code 2", True)
    assert told(CommandResult(0)) == ("(No output.)", False)
    assert told(CommandResult(-9, timed_out=True))[0] == "The command was ended: its timeout expired."


def test_long_output_says_what_is_left_out():
    """Its middle."""
    text, _ = told(CommandResult(0), CommandOutput("stdout", b"x" * (MAX_OUTPUT_LENGTH + 7)))
    assert "7 characters are left out" in text


def test_refusal_says_what_is_allowed():
    """Paths and commands."""
    text, is_error = told(Failed(ErrorKind.NOT_ALLOWED, "`id` is not on the list."))
    assert is_error
    assert all(word in text for word in ("`id`", "/a", "/w", "cat, ls"))


def test_pages_of_a_pdf_are_words_and_pictures_and_say_where_to_read_on():
    """Unless they are the last ones."""
    pages = (PdfPage(3, b"\xff\xd8", "Three\n"), PdfPage(4, b"\xff\xd9", ""))
    said = build_tool_result("c", PdfPages("/a/x.pdf", 9, pages, 25), (), STATUS).content
    assert said == (
        *(Text("Page 3 of 25:\nThree"), Image("image/jpeg", "/9g=")),
        *(Text("Page 4 of 25:"), Image("image/jpeg", "/9k=")),
        Text('(The file has 25 pages. Continue with pages "5-14".)'),
    )
    assert len(build_tool_result("c", PdfPages("/a/x.pdf", 9, pages, 4), (), STATUS).content) == 4


def test_nothing_found_is_said():
    """An empty result would look like a fault."""
    assert told(SearchMatches(())) == ("No matches found.", False)


def test_writing_is_offered_only_where_it_is_allowed():
    """And commands only where there are some."""
    assert list_available_tools(STATUS) == TOOL_NAMES
    assert list_available_tools(ToolsStatus(("/a",), (), (), 4, 0, 0, draining=False)) == ("Read", "Glob", "Grep")


def test_summary_is_one_short_line():
    """Of what matters in the arguments."""
    assert summarize_arguments('{"pattern":"a\\nb","path":"/x"}') == "a b in /x"
    assert len(summarize_arguments('{"command":"' + "x" * 999 + '"}')) == 200
