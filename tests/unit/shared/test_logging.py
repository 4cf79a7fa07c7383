"""Log lines: what they show, and what they never show."""

import contextlib
import json
import logging
from collections.abc import Generator
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from shared.logging import SECRET_WORDS, configure, mask_secrets

SECRET = "sk-ant-of-the-owner"
SAID = "what a client said"

type Format = Literal["console", "json"]
both_formats = pytest.mark.parametrize("form", ["console", "json"])


@pytest.fixture(autouse=True)
def restored() -> Generator[None]:
    """Logging is the process' own: put back what was there."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("uvicorn.access", "asyncio", "httpx")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The JSON lines that were written."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def fail(prompt: str, api_key: str) -> None:
    """A fault with a client's words and a secret in its local variables."""
    whole = f"{prompt} {api_key}"
    raise ValueError(len(whole))


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "key", "token", "API_SECRET_TOKEN", "secret", "Authorization", "x-api-key"),
        *("password", "set_cookie", "CLAUDE_CODE_OAUTH_TOKEN", "client_secret", "x_key_y"),
    ],
)
def test_the_value_of_a_name_that_sounds_like_a_secret_is_masked(name: str) -> None:
    """In any case, as a part of a longer name too."""
    assert mask_secrets(None, "info", {"event": "x", name: SECRET}) == {"event": "x", name: "…"}


@given(st.sampled_from(SECRET_WORDS), st.text(), st.text(), st.text(min_size=2))
def test_no_secret_gets_through_under_any_such_name(word: str, before: str, after: str, value: str) -> None:
    """Whatever stands around the word."""
    assert mask_secrets(None, "info", {f"{before}{word}{after}": value}) == {f"{before}{word}{after}": "…"}


def test_other_values_are_left_alone() -> None:
    """Numbers too, under any name: counts of tokens are no secret."""
    event: dict[str, Any] = {"event": "answered", "tokens": 12, "model": "opus", "key": None, "ms": 1.5}
    assert mask_secrets(None, "info", dict(event)) == event


@both_formats
def test_a_secret_is_masked_in_the_line_that_is_written(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    """Bound before or given with the line, of ours or of a library's."""
    configure("api", "info", form)
    structlog.contextvars.bind_contextvars(session_token=SECRET)
    log = structlog.get_logger()
    log.info("hello", api_key=SECRET, model="opus")
    log.bind(password=SECRET).warning("bound")
    logging.getLogger("library").warning("theirs")
    written = capsys.readouterr().err
    assert SECRET not in written
    assert [word for word in ("hello", "opus", "bound", "theirs") if word not in written] == []


@both_formats
def test_a_fault_shows_where_it_was_and_not_what_was_in_its_variables(
    form: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback of ours never holds a prompt or a key, in whichever way it is logged."""
    configure("api", "info", form)
    log = structlog.get_logger()
    try:
        fail(SAID, SECRET)
    except ValueError as error:
        log.exception("a request failed")
        log.error("a request failed", exc_info=error)
        logging.getLogger("library").exception("theirs")
    written = capsys.readouterr().err
    assert SECRET not in written
    assert SAID not in written
    assert written.count("in fail") == 3
    assert written.count("ValueError") >= 3


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With program, level and time in UTC; line ends in a value do not part it."""
    configure("claude-1", "info", "json")
    structlog.get_logger().info("hello", model="a\nb")
    logging.getLogger("library").error("theirs %s", "too")
    ours, theirs = lines(capsys)
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {"event": "hello", "level": "info", "model": "a\nb", "program": "claude-1"}
    assert theirs["event"] == "theirs too"
    assert (theirs["level"], theirs["program"]) == ("error", "claude-1")


def test_a_fault_is_one_json_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A collector of logs sees one event."""
    configure("api", "info", "json")
    with contextlib.suppress(ValueError):
        try:
            fail(SAID, SECRET)
        except ValueError:
            structlog.get_logger().exception("a request failed")
            raise
    (line,) = lines(capsys)
    assert "ValueError" in line["exception"]


@both_formats
@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_only_lines_of_the_level_or_above_are_written(
    form: Format, level: str, shown: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours and the libraries' alike."""
    configure("api", level, form)
    for log in (structlog.get_logger(), logging.getLogger("library")):
        for name in ("debug", "info", "warning", "error"):
            getattr(log, name)("a line")
    assert capsys.readouterr().err.count("a line") == 2 * shown


def test_chatty_libraries_are_heard_only_when_they_warn(capsys: pytest.CaptureFixture[str]) -> None:
    """Also at level debug: one line a request is ours."""
    configure("api", "debug", "json")
    for name in ("uvicorn.access", "asyncio", "httpx"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("a warning")
    assert [line["event"] for line in lines(capsys)] == ["a warning"] * 3


def test_configuring_again_does_not_double_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """There is one handler, whatever was there before."""
    logging.getLogger().addHandler(logging.NullHandler())
    configure("api", "info", "json")
    configure("api", "info", "json")
    structlog.get_logger().info("once")
    assert len(logging.getLogger().handlers) == 1
    assert [line["event"] for line in lines(capsys)] == ["once"]


def test_nothing_is_written_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout belongs to a program's answers."""
    configure("api", "info", "console")
    structlog.get_logger().error("hello")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hello" in captured.err


HOSTILE = "/\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\u202egnp.exe\u2066\u2028\r\nfake line\udc80"


@pytest.mark.parametrize("place", ["event", "value", "name", "nested", "library", "fault", "bytes"])
def test_a_terminal_gets_nothing_but_text(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever a client's characters stand in a line; words in any language are left as they are."""
    configure("api", "info", "console")
    log = structlog.get_logger()
    match place:
        case "event":
            event = f"{HOSTILE}Grüße 你好"
            log.info(event)
        case "value":
            log.info("request", path=HOSTILE + "Grüße 你好")
        case "name":
            log.info("request", **{HOSTILE: "Grüße 你好"})
        case "nested":
            log.info("request", paths=[HOSTILE, "Grüße 你好"], more={HOSTILE: ValueError(HOSTILE)})
        case "bytes":
            log.info("request", path=HOSTILE.encode("utf-8", "surrogateescape"), more="Grüße 你好")
        case "library":
            logging.getLogger("library").warning("theirs %s", HOSTILE + "Grüße 你好")
        case _:
            try:
                raise ValueError(HOSTILE + "Grüße 你好")
            except ValueError:
                log.exception("a request failed")
    written = capsys.readouterr().err
    assert "Grüße 你好" in written
    assert "owned" in written
    assert [c for c in written if not c.isprintable() and c not in "\n\t"] == []
    if place != "fault":
        assert len(written.splitlines()) == 1


LIBRARIES = (
    "mcp.server.streamable_http",
    "mcp",
    "httpx",
    "httpcore",
    "anyio",
    "sqlalchemy.engine",
    "litestar",
    "openai",
)


@both_formats
@pytest.mark.parametrize("name", [*LIBRARIES, "asyncio", "uvicorn.error", "alembic.runtime.migration", "pydantic"])
def test_a_library_is_heard_only_when_it_warns(name: str, form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    """At level debug too, also where it sets its own level: it would write down what was said word by word."""
    configure("api", "debug", form)
    theirs = logging.getLogger(name)
    before = theirs.level
    theirs.setLevel(logging.DEBUG)
    try:
        theirs.debug(SAID)
        theirs.info(SAID)
        theirs.warning("a warning")
    finally:
        theirs.setLevel(before)
    structlog.get_logger().debug("ours")
    written = capsys.readouterr().err
    assert SAID not in written
    assert "a warning" in written
    assert "ours" in written


def test_code_of_a_library_is_not_taken_for_ours_whatever_its_logger_is_called(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The line says which file it comes from."""
    configure("api", "debug", "json")
    record = logging.LogRecord("of-nobody", logging.INFO, pytest.__file__, 1, SAID, None, None)
    logging.getLogger().handle(record)
    assert SAID not in capsys.readouterr().err
