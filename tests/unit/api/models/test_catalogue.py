"""The models there are, and what a client's name for one means."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import api.models.catalogue
from api.core.model_names import CLI_ALIASES, VENDOR_ALIASES, resolve_model
from api.core.problems import Problem
from api.executors.pool import ExecutorPool
from api.models.catalogue import Catalogue, ListedModel, build_model_list, find_model
from shared.claude_status import ClaudeStatus, CliModel

OFFERED = (
    CliModel("default", "claude-opus-5-5", "Default"),
    CliModel("opus", "claude-opus-5-5", "Opus"),
    CliModel("fable", "claude-fable-5-2", "Fable"),
    CliModel("sonnet[1m]", "claude-sonnet-5-1[1m]", "Sonnet, long"),
)


def status(models: tuple[CliModel, ...]) -> ClaudeStatus:
    """An executor whose CLI offers these."""
    return ClaudeStatus("claude", "online", "api_key", True, "2.1", 4, 32, 0, 0, 2, False, models=models)


class Told(ExecutorPool):
    """Executors that say what they are told to. asked: how often."""

    def __init__(self, *said: ClaudeStatus | None) -> None:
        super().__init__(Path("/nowhere"), "claude")
        self.said = said
        self.asked = 0

    async def fetch_statuses(self) -> dict[str, ClaudeStatus | None]:
        self.asked += 1
        return {f"claude-{number}": one for number, one in enumerate(self.said)}


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("gpt-4o", "opus"),
        ("gpt-4o-mini", "sonnet"),
        ("gpt-3.5-turbo", "haiku"),
        ("haiku", "haiku"),
        ("sonnet", "sonnet"),
        ("opus", "opus"),
        ("Opus", "opus"),
        (" opus ", "opus"),
        ("fable", "fable"),
        ("sonnet[1m]", "sonnet[1m]"),
        ("claude-fable-5-2", "claude-fable-5-2"),
        ("claude-of-tomorrow", "claude-of-tomorrow"),
        ("CLAUDE-Opus-5-5", "claude-opus-5-5"),
    ],
)
@pytest.mark.wire(19)
def test_a_name_means_what_the_cli_is_asked_for(name: str, means: str) -> None:
    """Well-known names, the CLI's own and full ids, in any case and with blanks around."""
    assert resolve_model(name, {}, OFFERED) == means


@pytest.mark.parametrize("name", ["", " ", "gpt-5", "claude", "opus-4", "--model", "../opus", "opus\n--help", "GPT-4O"])
@pytest.mark.wire(19)
def test_any_other_name_is_not_found(name: str) -> None:
    """The name is the client's own, so it is in the message; so is the way to a name that works."""
    with pytest.raises(Problem) as problem:
        resolve_model(name, {}, OFFERED)
    assert (problem.value.status, problem.value.code, problem.value.param) == (404, "model_not_found", "model")
    assert f"`{name}`" in problem.value.message
    assert "GET /v1/models" in problem.value.message


def test_what_the_cli_does_not_offer_is_not_found() -> None:
    """Beside the three names it always takes."""
    with pytest.raises(Problem):
        resolve_model("fable", {}, ())
    assert [resolve_model(name, {}, ()) for name in CLI_ALIASES] == list(CLI_ALIASES)


def test_an_owners_alias_comes_before_everything() -> None:
    """It can give a new name, another meaning to a well-known one, and another one to the CLI's own."""
    aliases = {"fast": "haiku", "gpt-4o": "sonnet", "opus": "claude-opus-5-5", "same": "fast"}
    assert {name: resolve_model(name, aliases, ()) for name in aliases} == {
        "fast": "haiku",
        "gpt-4o": "sonnet",
        "opus": "claude-opus-5-5",
        "same": "haiku",
    }


def test_an_alias_of_a_well_known_name_means_what_that_means() -> None:
    """The order of the meanings is followed to the end."""
    assert resolve_model("mine", {"mine": "gpt-4o"}, ()) == "opus"


@pytest.mark.parametrize(
    "aliases", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "b"}, {"a": "nothing"}]
)
def test_an_alias_that_leads_nowhere_is_not_found(aliases: dict[str, str]) -> None:
    """Also one that leads in a circle, in bounded time; the client reads of the name it sent."""
    with pytest.raises(Problem, match="`a`"):
        resolve_model("a", aliases, OFFERED)


NAMES = st.sampled_from(["a", "b", "c", "opus", "gpt-4o", "claude-x", "nothing", " A "])


@given(NAMES, st.dictionaries(NAMES, NAMES))
def test_a_name_is_a_model_or_not_found_and_never_an_alias(name: str, aliases: dict[str, str]) -> None:
    """Whatever the aliases, the CLI is only ever asked for what it may know."""
    values = {*CLI_ALIASES, *(model.value for model in OFFERED), *(model.resolved for model in OFFERED)}
    with contextlib.suppress(Problem):
        means = resolve_model(name, aliases, OFFERED)
        assert means in values or means.startswith("claude-")


def test_the_listing_names_each_model_once() -> None:
    """The CLI's own names, the full ids, well-known names and aliases; `default` is none."""
    models = build_model_list(OFFERED, {"mine": "haiku"})
    ids = [model.id for model in models]
    assert len(ids) == len(set(ids))
    assert set(ids) == {
        *CLI_ALIASES,
        *("fable", "sonnet[1m]"),
        *("claude-opus-5-5", "claude-fable-5-2", "claude-sonnet-5-1[1m]"),
        *VENDOR_ALIASES,
        "mine",
    }


def test_the_listing_tells_aliases_from_models() -> None:
    """A client can see what a name stands for; an owner's alias replaces what was there under its name."""
    listed = {
        model.id: model for model in build_model_list(OFFERED, {"mine": "haiku", "gpt-4o": "sonnet", "opus": "haiku"})
    }
    assert listed["mine"] == ListedModel("mine", "haiku", is_alias=True)
    assert listed["gpt-4o"] == ListedModel("gpt-4o", "sonnet", is_alias=True)
    assert listed["opus"] == ListedModel("opus", "haiku", is_alias=True)
    assert listed["fable"] == ListedModel("fable", "fable", is_alias=False)
    assert listed["claude-fable-5-2"] == ListedModel("claude-fable-5-2", "claude-fable-5-2", is_alias=False)


@pytest.mark.parametrize("offered", [(), OFFERED])
def test_every_listed_name_can_be_asked_for(offered: tuple[CliModel, ...]) -> None:
    """A client that picks from the list is never told that its pick does not exist."""
    aliases = {"mine": "gpt-4o", "haiku": "sonnet"}
    for model in build_model_list(offered, aliases):
        assert resolve_model(model.id, aliases, offered)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("opus", "opus"),
        ("OPUS", "opus"),
        ("Claude-Opus-5-5", "claude-opus-5-5"),
        ("claude-opus-5-5[1m]", "claude-opus-5-5[1m]"),
        ("SONNET[1m]", "sonnet[1m]"),
        ("gpt-4o", "gpt-4o"),
        ("GPT-4O", None),
        ("gpt-4o[1m]", None),
        ("opus[1m]", None),
        ("claude-3-opus-20240229", None),
        ("claude-3-opus-20240229[1m]", None),
    ],
)
def test_a_model_is_looked_up_by_the_names_that_a_request_may_use(name: str, found: str | None) -> None:
    """Of those that are listed, so that nothing is told of a model which may not exist."""
    model = find_model(name, build_model_list(OFFERED, {}))
    assert (model and model.id) == found
    if found:
        assert resolve_model(name, {}, OFFERED)


async def test_the_default_is_meant_when_no_model_is_named() -> None:
    """DEFAULT_MODEL may be an alias too; an empty name is no name."""
    catalogue = Catalogue(Told().fetch_statuses, "mine", {"mine": "haiku"})
    assert await catalogue.resolve(None) == "haiku"
    assert await catalogue.resolve("") == "haiku"
    assert await catalogue.resolve("opus") == "opus"


async def test_a_name_that_is_known_anyway_costs_no_question() -> None:
    """The usual request does not wait for the executors to say what they offer."""
    executors = Told(status(OFFERED))
    assert await Catalogue(executors.fetch_statuses, "sonnet", {}).resolve("opus") == "opus"
    assert executors.asked == 0


async def test_a_name_that_only_the_cli_may_know_is_asked_about() -> None:
    """And then found, or not."""
    executors = Told(status(OFFERED))
    catalogue = Catalogue(executors.fetch_statuses, "sonnet", {})
    assert await catalogue.resolve("fable") == "fable"
    with pytest.raises(Problem):
        await catalogue.resolve("gpt-5")
    assert executors.asked == 1


async def test_the_models_are_remembered_for_a_while() -> None:
    """A client that lists them often asks the executors once."""
    executors = Told(status(OFFERED))
    catalogue = Catalogue(executors.fetch_statuses, "sonnet", {})
    assert [await catalogue.fetch_models(), await catalogue.fetch_models()] == [OFFERED, OFFERED]
    assert executors.asked == 1


async def test_after_a_while_the_models_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an account may use changes; when nobody answers, the last answer stands."""
    monkeypatch.setattr(api.models.catalogue, "MODELS_TTL", -1)
    executors = Told(status(OFFERED))
    catalogue = Catalogue(executors.fetch_statuses, "sonnet", {})
    assert await catalogue.fetch_models() == OFFERED
    executors.said = (status(OFFERED[:2]),)
    assert await catalogue.fetch_models() == OFFERED[:2]
    executors.said = (None, status(()))
    assert await catalogue.fetch_models() == OFFERED[:2]
    assert executors.asked == 3


async def test_models_that_were_not_known_yet_are_asked_for_at_once() -> None:
    """An executor that is still starting does not empty the list for a minute."""
    executors = Told(None)
    catalogue = Catalogue(executors.fetch_statuses, "sonnet", {})
    assert await catalogue.fetch_models() == ()
    executors.said = (status(OFFERED),)
    assert await catalogue.fetch_models() == OFFERED


async def test_the_first_executor_that_offers_models_is_listened_to() -> None:
    """One that is down or starting does not hide the others."""
    assert (
        await Catalogue(Told(None, status(()), status(OFFERED)).fetch_statuses, "sonnet", {}).fetch_models() == OFFERED
    )
