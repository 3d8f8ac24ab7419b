"""The alert rules ask for figures that the processes count, and Prometheus is told of them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RULES = (ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8")
SUFFIXES = ("_total", "_bucket", "_sum", "_count")


def counted() -> set[str]:
    sources = [
        path for package in ("ingest", "alerts", "gateway", "dashboards") for path in (ROOT / package).rglob("*.py")
    ]
    return set(re.findall(r'"(homecare_[a-z_]+)"', "".join(path.read_text("utf-8") for path in sources)))


def base(name: str) -> str:
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def expressions() -> list[str]:
    return re.findall(r"^ +expr: (.+)$", RULES, re.MULTILINE)


@pytest.mark.parametrize("expression", expressions())
def test_every_figure_of_a_rule_is_counted(expression: str) -> None:
    asked = set(re.findall(r"homecare_[a-z_]+", expression))
    assert {base(name) for name in asked} <= {base(name) for name in counted()}
    assert expression.count("(") == expression.count(")")


def test_every_rule_is_whole() -> None:
    rules = re.split(r"^      - alert: ", RULES, flags=re.MULTILINE)[1:]
    assert len(rules) == len(expressions())
    names = [rule.splitlines()[0] for rule in rules]
    assert len(set(names)) == len(names)
    for rule in rules:
        assert re.search(r"^        labels: \{severity: (critical|warning)\}$", rule, re.MULTILINE), rule
        assert re.search(r'^          summary: "[^"]+"$', rule, re.MULTILINE), rule


def test_what_must_be_watched_has_a_rule() -> None:
    for figure in (
        "homecare_broker_dropped_messages",
        "homecare_mqtt_in_flight",
        "homecare_ingest_oldest_unacknowledged_seconds",
        "homecare_ingest_rejections_total",
    ):
        assert figure in "".join(expressions())


def test_prometheus_loads_the_rules() -> None:
    assert "rule_files: [alerts.yml]" in (ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8")
    assert "/etc/prometheus/alerts.yml:ro" in (ROOT / "docker-compose.yml").read_text("utf-8")


def test_operations_names_figures_that_are_counted() -> None:
    named = set(re.findall(r"`(homecare_[a-z_]+)`", (ROOT / "docs/operations.md").read_text("utf-8")))
    assert {base(name) for name in named} <= {base(name) for name in counted()}
