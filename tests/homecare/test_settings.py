"""A wrong or missing setting is named, and its value is never shown."""

import ipaddress

import pytest

from homecare.errors import SettingsError
from homecare.settings import load_settings

GOOD = {
    "HOMECARE_DATABASE_URL": "postgresql://care:pw-that-must-not-show@127.0.0.1/care",
    "HOMECARE_MQTT_URL": "mqtt://homecare:pw-that-must-not-show@127.0.0.1:1883",
    "HOMECARE_SECRET_KEY": "k" * 32,
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_good_settings_are_read_with_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMECARE_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8, 10.1.0.0/16")
    monkeypatch.setenv("HOMECARE_LISTEN", "0.0.0.0:9000")
    settings = load_settings()
    assert settings.webhook_allow_networks == [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.1.0.0/16")]
    assert settings.address(8001) == ("0.0.0.0", 9000)
    assert settings.log_format == "json"


def test_without_a_listen_setting_each_command_has_its_own_port() -> None:
    assert load_settings().address(8001) == ("127.0.0.1", 8001)


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_setting_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == f"{name}: is not set"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOMECARE_MQTT_URL", "http://homecare:pw-that-must-not-show@127.0.0.1"),
        ("HOMECARE_MQTT_URL", "mqtt://"),
        ("HOMECARE_MQTT_URL", "mqtt://homecare:must-not-show/pw@127.0.0.1:1883"),
        ("HOMECARE_MQTT_URL", "mqtt://homecare@127.0.0.1:99999"),
        ("HOMECARE_PUBLIC_URL", "care.example.org"),
        ("HOMECARE_SECRET_KEY", "pw-that-must-not-show"),
        ("HOMECARE_LISTEN", "8000"),
        ("HOMECARE_INSTANCE", "a b"),
        ("HOMECARE_MQTT_RECEIVE_MAXIMUM", "70000"),
        ("HOMECARE_WEBHOOK_ALLOW_NETWORKS", "127.0.0.1/8"),
        ("HOMECARE_LOG_LEVEL", "loud"),
        ("HOMECARE_SMTP_URL", "http://care:pw-that-must-not-show@mail.example.org"),
        ("HOMECARE_SMTP_URL", "smtps://care:must-not-show/pw@mail.example.org:465"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line_without_its_value(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.setting == name
    assert "\n" not in str(caught.value)
    assert "must-not-show" not in str(caught.value)


def test_secrets_do_not_show_in_the_settings_themselves() -> None:
    assert "must-not-show" not in repr(load_settings())


def test_mail_needs_a_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().smtp_url.get_secret_value() == ""
    monkeypatch.setenv("HOMECARE_SMTP_URL", "smtps://care:pw-that-must-not-show@mail.example.org")
    for sender in ("", "care", "care@example.org, more@example.org"):
        monkeypatch.setenv("HOMECARE_SMTP_SENDER", sender)
        with pytest.raises(SettingsError, match="HOMECARE_SMTP_SENDER: must be an address") as caught:
            load_settings()
        assert "must-not-show" not in str(caught.value)
    monkeypatch.setenv("HOMECARE_SMTP_SENDER", "care@example.org")
    assert load_settings().smtp_sender == "care@example.org"
