"""From a claimed notification to what is sent: its body, once rendered the same for ever, and the endpoint's secrets.

A webhook gets the contract's JSON, a device what to show while it rings; every other kind gets a letter in words.
"""

from typing import Any

import msgspec
import structlog

from alerts.channels.delivery import Delivery
from alerts.messages import AlertMessage, Place, render_alert, render_ring, render_test
from alerts.texts import Facts, write_alert, write_test
from homecare.errors import SettingsError
from homecare.secrets import Vault

log = structlog.get_logger()


class Letters:
    """`public_url`: where the links in messages lead."""

    def __init__(self, vault: Vault, public_url: str) -> None:
        self._vault, self._public_url = vault, public_url

    def delivery(self, row: Any) -> Delivery:
        """`row` of the query `claim_notifications`."""
        body = row.body if row.body is not None else self._render(row)
        return Delivery(row.id, row.address, self._secrets(row), body.encode())

    def _render(self, row: Any) -> str:
        message = None if row.alert is None else self._message(row)
        if row.channel_kind == "webhook":
            return render_test(row.created_at) if message is None else render_alert(message)
        facts = msgspec.convert(row.facts, Facts)
        letter = write_test(facts.language) if message is None else write_alert(message, facts)
        return render_ring(row.alert, letter.subject, facts.phone) if row.channel_kind == "device" else str(letter)

    def _message(self, row: Any) -> AlertMessage:
        link = self._vault.sign_link({"a": str(row.alert), "c": row.contact, "n": str(row.id)})
        place = None if row.lat is None else Place(row.lat, row.lon, row.accuracy, row.position_at)
        return AlertMessage(
            type=row.type,
            timestamp=row.created_at,
            alert_id=row.alert,
            kind=row.kind,
            severity=row.severity,
            state=row.alert_state,
            resident=None if row.resident_id is None else (row.resident_id, row.resident_name),
            device=row.device_id,
            area=row.area,
            raised_at=row.raised_at,
            delayed_s=row.delayed_s,
            position=place,
            reason_code=row.reason_code,
            reason_zh=row.reason_zh,
            reason_en=row.reason_en,
            step=row.step,
            acknowledge_url=f"{self._public_url}/a/{link}",
        )

    def _secrets(self, row: Any) -> tuple[str, ...]:
        """Newest first. One sealed with another key is left out: the attempt then fails and says so."""
        secrets = []
        for sealed in (row.secret, row.previous_secret):
            if sealed is None:
                continue
            try:
                secrets.append(self._vault.open(bytes(sealed)))
            except SettingsError:
                log.error("channel_secret_unreadable", channel=row.channel)
        return tuple(secrets)
