"""Who is erased is nowhere any more, whoever else is in the same tables stays, and the log's chain is whole."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from homecare.kept import Kept
from ingest.connection import LiveConnection
from ingest.shards import Shard
from ingest.snapshots import Snapshots, load_snapshots
from tests.dashboards.town import Town

PROGRAM = Path(sys.executable).with_name("homecare")
KEY = "a secret of the tests, 32 characters at least"


def homecare(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOMECARE_")}
    environment |= {"HOMECARE_DATABASE_URL": url, "HOMECARE_SECRET_KEY": KEY}
    return subprocess.run([PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    """Both residents with all that can be stored of a person."""
    with psycopg.connect(database_url, autocommit=True) as db:
        town = Town(db, database_url)
        town.build()
        town.execute("update rollup_state set closed_until = date_trunc('hour', now()) where kept_by = 'product'")
        town.execute("insert into device (id, area, kind) values ('K-1', '990101', 'kiosk')")
        for number in (1, 2):
            live(town, number)
        town.roll_up()
        yield town


def live(town: Town, number: int) -> None:
    """A day, three cases, and what people set up and looked at."""
    device, resident = f"H-{number}", f"R-{number}"
    key = town.one("select key from resident where id = %s", resident)
    town.day(device)
    at = datetime.now(UTC) - timedelta(hours=3)
    town.execute(
        "insert into sample (ts, received, device, resident, boot, seq, part, flags, systolic)"
        " select %s, %s, key, %s, 1, %s, 0, 8, 152 from device where id = 'K-1'",
        at, at, key, number,
    )  # fmt: skip
    town.execute(
        "insert into acceleration (ts, received, device, resident, boot, seq, part, flags, hz, unit, scale, xyz)"
        " select now(), now(), key, %s, 1, 900, 0, 0, 50, 'g', 0.1, '\\x000000000000' from device where id = %s",
        key, device,
    )  # fmt: skip
    town.execute(
        "insert into event (device_id, device, resident, area, event, boot, seq, ts, received, flags, \"values\", position)"
        " select id, key, %s, area, 'sos', 1, 901, now(), now(), 0, '{\"heart_rate\": 131}', '{\"lat\": 26.5, \"lon\": 104.8}'"
        " from device where id = %s",
        key, device,
    )  # fmt: skip
    for kind in ("sos", "vital"):
        alert = town.alert(device, kind)
        town.execute("update event set alert = %s where device_id = %s and seq = 901", alert, device)
        town.execute("select alert_note(%s, 'operator:li', %s)", alert, f"Rang 010-0000000{number}")
    town.execute("select alert_acknowledge(%s, %s, 'link', 'I go')", alert, f"contact:C-{number}1")
    town.execute(
        "update notification set body = %s, attempts = 1 where alert = %s",
        json.dumps({"resident": {"id": resident}}),
        alert,
    )
    town.execute(
        "insert into command (device, name, expires_at, created_by, alert, replied_at, ok, result)"
        " select key, 'locate', now(), 'operator:li', %s, now(), true, '{\"lat\": 26.5}' from device where id = %s",
        alert, device,
    )  # fmt: skip
    town.execute(
        "insert into log (actor, action, detail) values ('operator:li', 'resident.viewed', jsonb_build_object('resident', %s::text))",
        resident,
    )
    town.execute(
        "insert into quarantine (received, last_received, lane, topic, payload, reason, detail, device, area)"
        " values (now(), now(), 'telemetry', %s, %s, 'out_of_range', '', %s, '990101'),"
        " (now(), now(), 'telemetry', 'care/v1/990101/K-1/telemetry', %s, 'not_json', '', 'K-1', '990101')",
        f"care/v1/990101/{device}/telemetry", b'{"heart_rate":%d}' % (900 + number), device,
        b'{"subject":"CARD%d","values":{' % number,
    )  # fmt: skip
    town.execute("insert into place values (%s, 'home', 'leave', '{26.5}', '{104.8}', 300)", key)
    town.execute(
        "insert into resident_order (resident, what, ordered_by, ordered_at) values (%s, 'spo2_scale_2', 'dr', now())",
        key,
    )
    town.execute(
        "insert into rule_override (resident, rule, field, value, set_by) values (%s, 'silence', 'after', '3', 'li')",
        key,
    )
    town.execute("insert into policy (id, resident) values (%s, %s)", f"P-of-{number}", key)


def mentions(town: Town, *texts: str) -> dict[str, int]:
    """In how many rows of which table something of a person stands, whatever the column."""
    tables = town.execute("select table_name from information_schema.tables where table_schema = 'public'")
    pattern = "|".join(texts)
    hidden = "|".join(text.removesuffix("\\M").encode().hex() for text in texts)  # bytes are shown so
    counts = {
        table: town.one(f'select count(*) from "{table}" t where t::text ~ %s or t::text ~ %s', pattern, hidden)
        for (table,) in tables
    }
    return {table: count for table, count in counts.items() if count}


def of_key(town: Town, key: int) -> dict[str, int]:
    """In how many rows of which table their key is."""
    tables = town.execute(
        "select table_name from information_schema.columns where table_schema = 'public' and column_name = 'resident'"
        " and data_type = 'integer'"
    )
    counts = {table: town.one(f'select count(*) from "{table}" where resident = %s', key) for (table,) in tables}
    return {table: count for table, count in counts.items() if count}


def test_nothing_of_them_is_left_and_nothing_of_others_is_gone(town: Town) -> None:
    first, second = (town.one("select key from resident where id = %s", f"R-{n}") for n in (1, 2))
    theirs = (
        "R-1\\M",
        "CARD1",
        "示例·甲一",
        "010-00000001",
        "示例路1号",
        "示例·甲女儿",
        "contact11",
        "out 901",
        "9010999",
    )
    others = ("R-2\\M", "CARD2", "示例·乙一", "010-00000002", "示例路2号", "示例·乙女儿")
    before, kept = mentions(town, *others), of_key(town, second)
    assert {"alert", "trigger", "event", "sample", "latest", "acceleration", "place", "wearing"} <= of_key(
        town, first
    ).keys()
    assert {"resident", "log", "notification", "quarantine"} <= mentions(town, *theirs).keys()

    done = homecare(town.url, "erase", "R-1", "--yes")

    assert done.returncode == 0, done.stderr
    assert mentions(town, *theirs) == {}
    assert of_key(town, first) == {}
    assert (mentions(town, *others), of_key(town, second)) == (before, kept)
    counts = {line[:-10].strip(): int(line[-10:].replace(",", "")) for line in done.stdout.splitlines()[:-1]}
    assert counts["samples"] == 129
    assert (counts["windows of acceleration"], counts["latest readings"], counts["resident"]) == (1, 1, 1)
    assert counts["hours and days"] > 20
    assert (counts["open alerts, closed"], counts["alerts' texts and positions"]) == (2, 2)
    assert (counts["quarantine"], counts["events' values and positions"]) == (2, 1)
    # Their daughter was nobody else's; the neighbour is there for the area.
    assert town.execute("select id from contact order by id") == [("C-12",), ("C-21",), ("C-22",)]
    told = town.one("select detail from log where action = 'resident.erased'")
    assert (told["samples"], told["resident"]) == (129, 1)


def test_what_is_left_of_their_cases_says_when_and_where_but_not_who(town: Town) -> None:
    homecare(town.url, "erase", "R-1", "--yes")
    rows = town.execute(
        "select kind, area, state, outcome, reason_en, lat, device_id, acknowledged_by from alert where resident is null order by kind"
    )
    assert rows == [
        ("sos", "99010101", "resolved", "technical", "(erased)", None, None, None),
        ("vital", "99010101", "resolved", "technical", "(erased)", None, None, "contact:erased"),
    ]
    assert (
        town.one(
            "select count(*) from escalation e join alert a on a.id = e.alert where a.resident is null and next_at is not null"
        )
        == 0
    )
    assert town.execute(
        "select distinct n.state, n.body is null from notification n join alert a on a.id = n.alert where a.resident is null"
    ) == [("dropped", True)]
    # The same message again is no news.
    assert town.one("select count(*) from event where device_id = 'H-1' and seq = 901") == 1


def test_the_log_is_whole_afterwards_and_says_how_much_of_it_is_empty(town: Town) -> None:
    homecare(town.url, "erase", "R-1", "--yes")
    verified = homecare(town.url, "audit", "verify")
    assert verified.returncode == 0, verified.stdout
    empty = town.one("select count(*) from log where salt is null")
    assert empty > 8
    assert f"the details of {empty} rows were erased with a person" in verified.stdout
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        town.execute("update log set detail = '{}'")


async def test_what_the_rules_kept_of_them_and_of_what_they_wear_is_forgotten(town: Town) -> None:
    wearer, other = (town.one("select key from resident where id = %s", f"R-{n}") for n in (1, 2))
    worn, others = (town.one("select key from device where id = %s", f"H-{n}") for n in (1, 2))
    kept = [
        Kept("routine of residents", "a", 1, np.array([other, wearer]), {"level": np.array([[1.0, 2.0], [3.0, 4.0]])}),
        Kept("fall of devices", "b", 2, np.array([worn, others]), {"peak": np.array([5, 6], np.int16)}),
        Kept("seen", "", 3, np.array([worn, wearer, 77]), {"received": np.array([1, 2, 3])}),
    ]

    async def written() -> None: ...

    connection = LiveConnection(town.url, "test")
    await Snapshots(connection, Shard.parse("1/1"), lambda: kept, written).take()
    homecare(town.url, "erase", "R-1", "--yes")
    found: dict[str, Any] = {}
    await load_snapshots(
        await connection.get(),
        Shard.parse("1/1"),
        lambda k: found.update({k.name: (k.keys.tolist(), {name: a.tolist() for name, a in k.state.items()})}),
    )
    await connection.close()
    assert found == {
        "routine of residents": ([other], {"level": [[1.0, 2.0]]}),
        "fall of devices": ([others], {"peak": [6]}),
        "seen": ([worn, wearer, 77], {"received": [1, 2, 3]}),
    }


def test_it_asks_first_and_knows_whom_it_does_not_know(town: Town) -> None:
    asked = homecare(town.url, "erase", "R-1")
    assert (asked.returncode, asked.stderr) == (2, "homecare: what is erased does not come back: say --yes\n")
    unknown = homecare(town.url, "erase", "R-9", "--yes")
    assert (unknown.returncode, unknown.stderr) == (2, "homecare: there is no resident R-9\n")
    assert town.one("select count(*) from resident") == 2
