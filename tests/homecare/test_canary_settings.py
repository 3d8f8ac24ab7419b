"""Settings of the canary are named where they are wrong; a heartbeat needs something that beats."""

import pytest

from homecare.errors import SettingsError
from homecare.settings import load_settings

NEEDED = {
    "DATABASE_URL": "postgresql://example.invalid/care",
    "MQTT_URL": "mqtt://example.invalid",
    "SECRET_KEY": "a secret of the tests, 32 characters at least",
}


def loaded(monkeypatch: pytest.MonkeyPatch, **settings: str) -> float:
    for name, value in {**NEEDED, **settings}.items():
        monkeypatch.setenv(f"HOMECARE_{name}", value)
    return load_settings().canary_s


def test_the_canary_is_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(monkeypatch) == 0
    assert loaded(monkeypatch, CANARY_S="60", HEARTBEAT_URL="https://watch.example.org/ping") == 60


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("CANARY_S", "2"),
        ("CANARY_LISTEN", "localhost:8003"),
        ("CANARY_LISTEN", "127.0.0.1:0"),
        ("HEARTBEAT_URL", "watch.example.org"),
        ("HEARTBEAT_URL", "https://watch.example.org/ping"),
    ],
)
def test_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch, setting: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"HOMECARE_{setting}"):
        loaded(monkeypatch, **{setting: value})
