"""The dashboard and the alerts, as files: what they name exists, and each alert says what to do."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from api.observability.metrics import FAMILIES
from tests.observability.expressions import DASHBOARD, RULES, Expression, alerts, names, panels

PROCESS = {"process_resident_memory_bytes", "process_open_fds", "up"}
HISTOGRAM = ("_bucket", "_sum", "_count")
RULES_TEST = Path(__file__).parent / "rules_test.yml"


def exposed() -> set[str]:
    """The name of every series that there can be."""
    return {
        family.exposed_name + ending
        for family in FAMILIES.values()
        for ending in (HISTOGRAM if family.kind == "histogram" else ("",))
    }


@pytest.mark.parametrize("expression", [*panels(), *alerts()], ids=lambda expression: expression.where)
def test_every_metric_that_is_named_exists(expression: Expression):
    """A misspelt one would be an empty panel, or an alert that never comes."""
    named = names(expression)
    assert named
    assert named - exposed() - PROCESS == set()


def test_every_metric_has_a_panel_or_an_alert():
    """What nobody looks at is not worth its series."""
    named = {name for expression in (*panels(), *alerts()) for name in names(expression)}
    unseen = {
        family.exposed_name
        for family in FAMILIES.values()
        if not any(family.exposed_name + ending in named for ending in ("", *HISTOGRAM))
    }
    assert unseen == set()


def test_the_panels_stand_beside_each_other():
    """No two cover the same place, none reaches over the edge, and each has a title, a unit and an id of its own."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["title"]
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_every_alert_says_what_is_and_what_to_do():
    """And how much it matters."""
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"].keys() == {"summary", "do"}
            assert rule["labels"]["severity"] in {"page", "warn"}


def promtool(*arguments: str | Path, given: bytes = b"") -> str:
    """What promtool says; it must be content."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed: `make system` installs it")
    done = subprocess.run([program, *arguments], input=given, capture_output=True, check=False)
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, output
    return output


def test_promtool_takes_the_rules_and_they_fire_when_they_should():
    """By its own tests of rules: quiet when all is well, and each alert by its own cause."""
    promtool("check", "rules", RULES)
    promtool("test", "rules", RULES_TEST)
    tested = RULES_TEST.read_text(encoding="utf-8")
    assert [alert.where for alert in alerts() if f"alertname: {alert.where}\n        exp_alerts" not in tested] == []


def test_promtool_takes_the_configuration():
    """As it is shipped."""
    promtool("check", "config", RULES.parent / "prometheus.yml")
