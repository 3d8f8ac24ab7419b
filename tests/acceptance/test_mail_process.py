"""The alerts process with a mail server: what it does at its start, and a letter that arrives with the link that answers."""

from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg import AsyncConnection

from tests.alerts.places import Directory
from tests.alerts.post_office import PASSWORD, USER, make_certificate, post_office
from tests.alerts.service import until
from tests.services.processes import Processes, ProcessFailed

SECRET_KEY = "a secret of the tests, 32 characters at least"
SENDER = "care@example.org"


async def test_a_contact_without_a_webhook_gets_a_letter(
    processes: Processes, database_url: str, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    async with (
        await AsyncConnection.connect(database_url, autocommit=True) as db,
        post_office(certificate, key, starttls=True) as office,
    ):
        directory = Directory(db, SECRET_KEY)
        await directory.add_areas()
        resident = await directory.add_resident()
        await directory.add_contact("C-1", resident=resident)
        await db.execute(
            "insert into channel (contact, rank, kind, address) values ('C-1', 1, 'email', 'family@example.org')"
        )
        await processes.start(
            "alerts",
            smtp_url=f"smtp://{USER}:{quote(PASSWORD)}@localhost:{office.port}",
            smtp_sender=SENDER,
            smtp_ca_file=str(certificate),
            public_url="https://care.example.org",
        )
        await db.execute(
            "insert into trigger (key, at, rule, version, kind, severity, state, resident, area, evidence, zh, en) values"
            " ('t', now(), 'sos', 1, 'sos', 'critical', 'raised', %s, '990102', '{}', '按下了紧急按钮', 'Button pressed')",
            [resident],
        )
        await until(db, "select exists (select from notification where channel_kind = 'email' and state = 'delivered')")
    (letter,) = office.letters
    assert (letter["Subject"], letter["From"]) == ("【特急】示例·甲1：按下了紧急按钮", SENDER)
    assert "https://care.example.org/a/" in letter.get_content()


async def test_a_certificate_file_that_is_not_there_is_named_at_the_start(processes: Processes) -> None:
    with pytest.raises(ProcessFailed, match="HOMECARE_SMTP_CA_FILE"):
        await processes.start(
            "alerts", smtp_url="smtps://localhost:465", smtp_sender=SENDER, smtp_ca_file="/nowhere/ca.pem"
        )
