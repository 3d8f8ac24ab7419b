"""The log's proof: whatever is changed, removed, put in another order or written anew is found."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg import AsyncConnection, errors

from alerts.audit import Verdict, keep_sealed, seal, sealing_key, verify
from homecare.database import open_pool
from tests.alerts.service import until

KEY = sealing_key("a key of thirty-two characters or more")


async def write(db: AsyncConnection, actor: str, action: str, alert: UUID | None = None, text: str = "") -> None:
    await db.execute(
        "insert into log (alert, actor, action, detail) values (%s, %s, %s, jsonb_build_object('text', %s::text))",
        [alert, actor, action, text],
    )


@pytest.fixture
async def alerts(db: AsyncConnection) -> list[UUID]:
    """Two alerts with five lines each, in turns, and lines about none by two operators."""
    found = []
    for name in ("one", "two"):
        row = await (
            await db.execute(
                "insert into alert (dedup_key, kind, severity, raised_at, reason_code, reason_zh, reason_en)"
                " values (%s, 'sos', 'critical', now(), 'sos', '', '') returning id",
                [name],
            )
        ).fetchone()
        assert row is not None
        found.append(row[0])
    for n in range(5):
        for alert in found:
            await write(db, "system", "escalation.step", alert, f"第{n}步")
        await write(db, f"operator:{n % 2}", "resident.viewed", None, "R-1")
    return found


async def forge(db: AsyncConnection, *statements: str) -> None:
    """As the database's owner, who can switch off what forbids it."""
    async with db.transaction():
        await db.execute("alter table log disable trigger user")
        for statement in statements:
            await db.execute(statement.encode())
        await db.execute("alter table log enable trigger user")


def found(verdict: Verdict) -> set[str]:
    return {finding.what for finding in verdict.findings}


async def test_an_untouched_log_is_whole(db: AsyncConnection, alerts: list[UUID]) -> None:
    verdict = await verify(db, KEY)
    assert (verdict.rows, verdict.chains, verdict.findings) == (15, 4, [])


async def test_the_log_cannot_be_changed_by_accident(db: AsyncConnection, alerts: list[UUID]) -> None:
    for statement in (b"update log set actor = 'system'", b"delete from log", b"truncate log cascade"):
        with pytest.raises(errors.InsufficientPrivilege):
            await db.execute(statement)


ROW = "(select id from log where place = 3 order by id limit 1)"


@pytest.mark.parametrize(
    ("statements", "what"),
    [
        ([f'update log set detail = \'{{"text": "another"}}\' where id = {ROW}'], {"changed"}),
        ([f"update log set actor = 'operator:mallory' where id = {ROW}"], {"changed"}),
        ([f"update log set at = at - interval '1 microsecond' where id = {ROW}"], {"changed"}),
        ([f"delete from log where id = {ROW}"], {"removed"}),
        (["delete from log where id = (select max(id) from log where alert is not null)"], {"cut_off"}),
        (["delete from log where place = 1"], {"removed"}),
        (
            [
                f"delete from log where id = {ROW}",
                "update log l set place = place - 1 where place > 3 and not exists"
                " (select from log b where b.chain = l.chain and b.place = 3)",
            ],
            {"changed", "cut_off"},
        ),
        (
            [
                "update log set place = -place where place in (2, 3) and alert is not null",
                "update log set place = 5 + place where place in (-2, -3)",
            ],
            {"changed"},
        ),
        (["delete from log_chain where chain = 'operator:0'"], {"unchained"}),
        (["delete from log where chain = 'operator:1'"], {"cut_off"}),
    ],
)
async def test_what_is_forged_is_found(
    db: AsyncConnection, alerts: list[UUID], statements: list[str], what: set[str]
) -> None:
    await forge(db, *statements)
    assert found(await verify(db, KEY)) == what


async def test_a_sealed_day_cannot_be_written_anew_even_with_all_its_hashes(
    db: AsyncConnection, alerts: list[UUID]
) -> None:
    assert await seal(db, KEY, after_s=0) == 15
    assert await seal(db, KEY, after_s=0) == 0, "once a day"
    await write(db, "system", "escalation.step", alerts[0], "after the seal")
    whole = await verify(db, KEY)
    assert (whole.findings, whole.seals, whole.sealed_rows, whole.rows) == ([], 1, 15, 16)
    await forge(
        db,
        "create temp table kept as select id, at, alert, actor, action, detail from log where id <> " + ROW,
        "delete from log",
        "delete from log_chain",
    )
    await db.execute(
        b"insert into log (id, at, alert, actor, action, detail) overriding system value select * from kept order by id"
    )
    assert found(await verify(db, KEY)) == {"seal_broken"}


async def test_seals_are_of_one_key_and_follow_one_another(db: AsyncConnection, alerts: list[UUID]) -> None:
    for day in range(3):
        await write(db, "system", "escalation.step", alerts[0], str(day))
        assert await seal(db, KEY, after_s=0)
        await forge(
            db,
            "alter table log_seal disable trigger user",
            "update log_seal set sealed_at = sealed_at - interval '1 day'",
        )
    assert found(await verify(db, sealing_key("another key of thirty-two characters"))) == {"seal_broken"}
    assert not (await verify(db, KEY)).findings
    await forge(db, "delete from log_seal where number = 2")
    assert found(await verify(db, KEY)) == {"seal_broken"}


async def test_what_is_too_young_is_not_sealed(db: AsyncConnection, alerts: list[UUID]) -> None:
    assert await seal(db, KEY) == 0


async def test_an_erased_detail_keeps_its_place(db: AsyncConnection, alerts: list[UUID]) -> None:
    await forge(db, f"update log set detail = '{{}}', salt = null where id = {ROW}")
    verdict = await verify(db, KEY)
    assert (verdict.findings, verdict.erased) == ([], 1)


async def test_many_writers_at_once_make_one_chain_each(
    db: AsyncConnection, database_url: str, alerts: list[UUID]
) -> None:
    async def writer(n: int) -> None:
        async with await AsyncConnection.connect(database_url, autocommit=True) as own:
            for line in range(10):
                async with own.transaction():
                    await write(own, "system", "escalation.step", alerts[n % 2], str(line))
                    await write(own, f"operator:{n}", "alert.viewed", None, str(line))

    async with asyncio.TaskGroup() as group:
        for n in range(8):
            group.create_task(writer(n), name=f"writer-{n}")
    verdict = await verify(db, KEY)
    assert (verdict.findings, verdict.rows) == ([], 15 + 160)


async def test_the_alerts_process_seals_what_is_old(database_url: str, db: AsyncConnection, alerts: list[UUID]) -> None:
    await forge(
        db,
        "create temp table kept as select at - interval '2 days' as at, alert, actor, action, detail from log order by id",
        "delete from log",
        "delete from log_chain",
    )
    await db.execute(b"insert into log (at, alert, actor, action, detail) select * from kept")
    async with open_pool(database_url, name="seals", max_size=1) as pool, asyncio.TaskGroup() as group:
        task = group.create_task(keep_sealed(pool, KEY), name="seals")
        await until(db, "select count(*) = 1 from log_seal")
        task.cancel()
    assert (await verify(db, KEY)).sealed_rows == 15


def test_the_command_says_whether_the_log_is_whole(plain_database_url: str) -> None:
    def audit() -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"HOMECARE_DATABASE_URL": plain_database_url, "HOMECARE_SECRET_KEY": "k" * 32}
        command = [str(Path(sys.executable).with_name("homecare")), "audit", "verify"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    with psycopg.connect(plain_database_url, autocommit=True) as db:
        db.execute("insert into log (actor, action) values ('system', 'a'), ('operator:li', 'b'), ('system', 'c')")
        whole = audit()
        assert (whole.returncode, whole.stdout) == (0, "the log is whole: 3 rows in 2 chains; 0 seals over 0 rows\n")
        db.execute("alter table log disable trigger user")
        db.execute("update log set action = 'd' where action = 'a'")
    broken = audit()
    assert broken.returncode == 1
    assert broken.stdout == "changed      system, place 1, row 1: its content is not what was written\n"
    assert "not whole: 1 findings" in broken.stderr
