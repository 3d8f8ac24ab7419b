"""docker-compose.yml sets what the code reads, starts commands that exist, and asks for what it cannot know."""

import importlib
import json
import re
from typing import Any

import pytest

from homecare.commands.main import app
from homecare.settings import Settings, load_settings
from tests.conftest import missing
from tests.services.compose import PROJECT, compose_config, composed
from tests.services.errors import ServiceMissing

SECRETS = {
    "HOMECARE_DATABASE_PASSWORD": "databasepassword",
    "HOMECARE_MQTT_PASSWORD": "brokerpassword",
    "HOMECARE_SECRET_KEY": "0123456789abcdef0123456789abcdef",
}
PORTS = {"dashboard": 8000, "ingest": 8001, "alerts": 8002}
"""The processes' own default ports."""
PLUMBING = {"LISTEN", "DATABASE_URL", "MQTT_URL", "INSTANCE", "MQTT_RECEIVE_MAXIMUM", "MQTT_CA_FILE"}
"""Settings that the file itself decides, or leaves as they are."""


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    try:
        return composed(**SECRETS)
    except ServiceMissing as error:
        missing(error)


@pytest.fixture(scope="module")
def ours(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run the project's own image."""
    return {name: service for name, service in config["services"].items() if "build" in service}


def test_every_process_of_the_system_is_there(config: dict[str, Any], ours: dict[str, Any]) -> None:
    assert set(ours) == {"migrate", "ingest", "alerts", "dashboard"}
    assert set(config["services"]) - set(ours) == {"database", "mosquitto", "prometheus", "grafana"}
    for name in ("prometheus", "grafana"):
        assert config["services"][name]["profiles"] == ["monitoring"]


def test_commands_are_the_command_lines(ours: dict[str, Any]) -> None:
    known = {info.name or info.callback.__name__ for info in app.registered_commands if info.callback}
    assert {name: service["command"] for name, service in ours.items()} == {name: [name] for name in ours}
    assert set(ours) <= known


def test_environment_is_what_the_code_reads(ours: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    known = {f"HOMECARE_{name.upper()}" for name in Settings.model_fields}
    for service in ours.values():
        assert set(service["environment"]) <= known
        with monkeypatch.context() as patch:
            for name in known:
                patch.delenv(name, raising=False)
            for name, value in service["environment"].items():
                patch.setenv(name, value)
            settings = load_settings()
        assert "brokerpassword" in settings.mqtt_url.get_secret_value()


def test_everything_a_person_would_set_can_be_set_in_env() -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    settable = set(re.findall(r"\$\{HOMECARE_([A-Z_]+)", text))
    fixed = {"LOG_FORMAT"}
    assert {name.upper() for name in Settings.model_fields} - PLUMBING - fixed <= settable


def test_ports_are_the_processes_own(ours: dict[str, Any]) -> None:
    for name, port in PORTS.items():
        assert port == importlib.import_module(f"homecare.commands.{name}").PORT
        assert ours[name]["environment"]["HOMECARE_LISTEN"] == f"0.0.0.0:{port}"
        assert f"127.0.0.1:{port}/readyz" in ours[name]["healthcheck"]["test"][-1]


def test_prometheus_asks_every_process_and_grafana_asks_prometheus(config: dict[str, Any]) -> None:
    targets = re.findall(r'"([a-z]+):(\d+)"', (PROJECT / "deploy/prometheus/prometheus.yml").read_text())
    assert {name: int(port) for name, port in targets} == PORTS
    assert "url: http://prometheus:9090" in (PROJECT / "deploy/grafana/datasources/prometheus.yml").read_text()


def test_grafana_shows_figures_that_the_processes_count() -> None:
    board = (PROJECT / "deploy/grafana/dashboards/homecare.json").read_text()
    shown = set(re.findall(r"homecare_[a-z_]+", board))
    sources = [path for package in ("ingest", "alerts", "gateway") for path in (PROJECT / package).rglob("*.py")]
    counted = set(re.findall(r'"(homecare_[a-z_]+)"', "".join(path.read_text() for path in sources)))
    assert json.loads(board)["panels"]
    assert {_base(name) for name in shown} <= {_base(name) for name in counted}


def _base(name: str) -> str:
    return name.removesuffix("_bucket").removesuffix("_total")


def test_files_that_are_mounted_exist(config: dict[str, Any]) -> None:
    for service in config["services"].values():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                assert (PROJECT / volume["source"]).exists(), volume


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_a_missing_secret_stops_with_its_name(config: dict[str, Any], name: str) -> None:
    said = compose_config(**{key: value for key, value in SECRETS.items() if key != name})
    assert said.returncode != 0
    assert name in said.stderr


def test_the_example_names_every_secret() -> None:
    example = (PROJECT / ".env.example").read_text()
    assert set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE)) == set(SECRETS)


def test_the_image_copies_every_package() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    packages = re.findall(r'"([a-z]+)\*"', (PROJECT / "pyproject.toml").read_text())
    assert len(packages) == 6
    for package in packages:
        assert f"COPY {package} {package}" in dockerfile
        assert f"!{package}" in ignored
