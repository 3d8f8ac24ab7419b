"""Secrets at rest need the key; links prove themselves."""

import pytest

from homecare.errors import SettingsError
from homecare.secrets import Vault, private_name


def test_a_sealed_secret_opens_with_its_key_only() -> None:
    sealed = Vault("a" * 32).seal("whsec_x")
    assert b"whsec_x" not in sealed
    assert Vault("a" * 32).open(sealed) == "whsec_x"
    with pytest.raises(SettingsError, match="HOMECARE_SECRET_KEY"):
        Vault("b" * 32).open(sealed)


def test_a_link_that_was_tampered_with_is_worth_nothing() -> None:
    vault = Vault("a" * 32)
    link = vault.sign_link({"a": "1", "c": "C-1"})
    assert vault.read_link(link) == {"a": "1", "c": "C-1"}
    assert vault.read_link(link[:-2] + ("AA" if link[-2:] != "AA" else "BB")) is None
    assert Vault("b" * 32).read_link(link) is None
    assert vault.read_link("not a link") is None


def test_a_private_name_is_the_same_each_time_and_needs_the_key() -> None:
    name = private_name("a" * 32, "homecare-alerts-1")
    assert name.startswith("homecare-alerts-1-")
    assert name == private_name("a" * 32, "homecare-alerts-1")
    assert name != private_name("b" * 32, "homecare-alerts-1")
