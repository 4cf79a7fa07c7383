"""The expressions of the dashboard and of the alerts, as Prometheus is asked for them."""

import json
from collections.abc import Iterator
from typing import Any

import promql_parser
import yaml
from msgspec import Struct

from tests.support.stack import REPOSITORY

DASHBOARD = REPOSITORY / "deploy/grafana/claude-api-server.json"
RULES = REPOSITORY / "deploy/prometheus/rules.yml"
# What Grafana puts in place of its variables.
VARIABLES = {"$__rate_interval": "1m", "$__range": "5m", "$instance": ".*"}


class Expression(Struct, frozen=True):
    """What is asked, and where it stands."""

    where: str
    text: str


def panels() -> list[Expression]:
    """Each expression of each panel."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [
        Expression(f"{panel['title']} {target['refId']}", filled(target["expr"]))
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]


def filled(text: str) -> str:
    """An expression without Grafana's variables."""
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    assert "$" not in text, text
    return text


def alerts() -> list[Expression]:
    """Each alert's expression."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [Expression(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


def watched(alert: Expression) -> Expression:
    """What an alert compares with its limit."""
    parsed = promql_parser.parse(alert.text)
    assert isinstance(parsed, promql_parser.BinaryExpr), alert
    return Expression(alert.where, parsed.lhs.prettify())


def names(expression: Expression) -> set[str]:
    """The metrics that an expression names."""
    return set(_names(promql_parser.parse(expression.text)))


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, promql_parser.VectorSelector):
        yield str(node.name)
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        if (child := getattr(node, name, None)) is not None:
            yield from _names(child)
    for child in getattr(node, "args", ()):
        yield from _names(child)
