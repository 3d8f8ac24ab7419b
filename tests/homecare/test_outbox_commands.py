"""`homecare outbox` and `homecare channel` as a person calls them: dead letters, and a secret that is shown once."""

import json
from uuid import UUID

import psycopg
import pytest

from homecare.secrets import Vault
from tests.homecare.test_directory_commands import KEY, SECRET, homecare

ALERT = """
insert into alert (dedup_key, kind, severity, area, raised_at, reason_code, reason_zh, reason_en)
values ('sos:x', 'sos', 'critical', '990101', now(), 'sos', '紧急', 'Button') returning id"""
LETTER = """
insert into notification (alert, type, channel_kind, channel, contact, state, attempts, last_error)
select %s, 'alert.opened', 'webhook', id, 'C-1', 'dead', 9, 'timeout' from channel where rank = 1 returning id"""


@pytest.fixture
def settings(plain_database_url: str) -> dict[str, str]:
    """A contact C-1 with a webhook, an e-mail address and another webhook."""
    with psycopg.connect(plain_database_url) as db:
        db.execute("insert into area (code, level, name_zh, name_en) values ('990101', 'county', '示例县', 'Sample')")
        db.execute(
            "insert into contact (id, name, role) values ('C-1', '示例·亲', 'family'), ('C-2', '示例·邻', 'neighbour')"
        )
        for rank, kind, address in ((1, "webhook", "https://a.example/t0ken"), (2, "email", "x@example.org")):
            sealed = Vault(KEY).seal(SECRET) if kind == "webhook" else None
            db.execute(
                "insert into channel (contact, rank, kind, address, secret) values ('C-1', %s, %s, %s, %s)",
                [rank, kind, address, sealed],
            )
    return {"database_url": plain_database_url, "secret_key": KEY}


def dead_letter(url: str) -> tuple[UUID, UUID]:
    with psycopg.connect(url) as db:
        alert = one(db, ALERT)
        return alert, one(db, LETTER, alert)


def one(db: psycopg.Connection, sql: str, *values: object) -> UUID:
    found = db.execute(sql.encode(), values).fetchone()
    assert found is not None
    id_: UUID = found[0]
    return id_


def test_dead_letters_are_listed_sent_again_and_put_aside(settings: dict[str, str]) -> None:
    url = settings["database_url"]
    assert homecare("outbox", "dead", **settings).stdout == "no dead letters\n"
    alert, letter = dead_letter(url)
    listed = homecare("outbox", "dead", **settings).stdout.splitlines()
    assert len(listed) == 2
    assert listed[1].split()[0] == str(letter)
    assert all(word in listed[1] for word in ("timeout", "webhook", "C-1", "sos", "990101"))
    assert homecare("outbox", "dead", "--area", "none", **settings).stdout == "no dead letters\n"
    (told,) = map(json.loads, homecare("outbox", "dead", "--json", **settings).stdout.splitlines())
    assert (told["id"], told["attempts"]) == (str(letter), 9)
    sent = homecare("outbox", "replay", letter, **settings)
    assert (sent.returncode, sent.stdout) == (0, f"{letter}: replayed\n")
    again = homecare("outbox", "replay", letter, **settings)
    assert (again.returncode, again.stdout) == (1, f"{letter}: there is no such dead letter (any more)\n")
    assert again.stderr == "homecare: 1 of 1 not replayed\n"
    with psycopg.connect(url) as db:
        db.execute("update notification set state = 'dead'")
        db.execute("select alert_acknowledge(%s, 'operator:li', 'page', '')", [alert])
    late = homecare("outbox", "replay", letter, **settings)
    assert (late.returncode, "no longer open" in late.stdout) == (1, True)
    assert homecare("outbox", "dismiss", letter, "--reason", " ", **settings).returncode == 2
    gone = homecare("outbox", "dismiss", letter, "--reason", "somebody went", **settings)
    assert (gone.returncode, gone.stdout) == (0, f"{letter}: dismissed\n")
    with psycopg.connect(url) as db:
        logged = db.execute(
            "select action, detail ->> 'reason' from log where starts_with(action, 'notification.') order by id"
        ).fetchall()
    assert logged == [("notification.replayed", None), ("notification.dismissed", "somebody went")]


def test_a_rotated_secret_is_shown_once_and_the_old_one_signs_beside_it(settings: dict[str, str]) -> None:
    shown = homecare("channel", "rotate", "C-1", **settings)
    assert shown.returncode == 0, shown.stderr
    where, secret = shown.stdout.splitlines()
    assert where == "contact C-1, channel 1 (https://a.example): shown this once"
    with psycopg.connect(settings["database_url"]) as db:
        stored = db.execute(
            "select secret, previous_secret, previous_secret_until - now() > interval '23 hours' from channel where rank = 1"
        ).fetchone()
        logged = db.execute("select detail::text from log where action = 'channel.rotated'").fetchall()
    assert stored is not None
    assert (Vault(KEY).open(stored[0]), Vault(KEY).open(stored[1]), stored[2]) == (secret, SECRET, True)
    assert len(logged) == 1
    assert "whsec_" not in logged[0][0]
    twice = homecare("channel", "rotate", "C-1", **settings)
    assert (twice.returncode, "its last rotation holds until" in twice.stderr) == (2, True)
    leaked = homecare("channel", "rotate", "C-1", "--overlap", "0", **settings)
    assert leaked.returncode == 0
    with psycopg.connect(settings["database_url"]) as db:
        assert db.execute("select previous_secret from channel where rank = 1").fetchone() == (None,)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody",), "there is no contact nobody"),
        (("C-2",), "contact C-2: has no webhook"),
        (("C-1", "--rank", "2"), "--rank: contact C-1 has webhooks at 1"),
    ],
)
def test_what_has_no_webhook_secret_says_so(settings: dict[str, str], arguments: tuple[str, ...], said: str) -> None:
    refused = homecare("channel", "rotate", *arguments, **settings)
    assert (refused.returncode, refused.stderr) == (2, f"homecare: {said}\n")
