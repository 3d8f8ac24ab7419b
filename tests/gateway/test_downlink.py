import json
from uuid import UUID

import pytest

from gateway.downlink import ack_payload, ack_topic, command_payload, command_topic

ALERT = UUID("0f6b5a0e-6ce1-4f0c-9d6e-3a1c2b4d5e6f")


def test_acknowledgements_are_the_contracts() -> None:
    assert ack_topic("520201", "H-1") == "care/v1/520201/H-1/ack"
    assert json.loads(ack_payload(3, 1044, ALERT, "opened")) == {
        "boot": 3,
        "seq": 1044,
        "alert": str(ALERT),
        "state": "opened",
    }
    assert json.loads(ack_payload(3, 1045, None, "recorded")) == {
        "boot": 3,
        "seq": 1045,
        "alert": None,
        "state": "recorded",
    }


def test_commands_are_the_contracts() -> None:
    assert command_topic("520201", "H-1") == "care/v1/520201/H-1/command"
    assert json.loads(command_payload(ALERT, "set_interval", {"interval": 30}, 1795289357123)) == {
        "id": str(ALERT),
        "name": "set_interval",
        "args": {"interval": 30},
        "expires": 1795289357123,
    }


def test_nothing_is_sent_to_a_name_that_is_a_wildcard() -> None:
    with pytest.raises(ValueError, match="not a topic"):
        ack_topic("520201", "+")
