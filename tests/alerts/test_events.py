"""Events: raised once whatever comes twice, taken back in whatever order, from whoever sends them."""

import asyncio
from datetime import UTC, datetime

import pytest
from psycopg import AsyncConnection

from homecare.checked import Checked, Stranger
from homecare.messages import Inbound, Origin, Position, Rejection, Reply
from homecare.metrics import METRICS
from tests.alerts.places import Directory
from tests.alerts.service import event, row, rows, running, until
from tests.services.postgres import TimescaleServer

ALERTS = "select * from alert order by number"


async def test_an_sos_opens_an_alert_and_its_device_is_told(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    resident = await directory.add_resident()
    key = await directory.add_device("H-1", wearer=resident)
    position = Position(26.5, 104.8, accuracy=8, fix="gnss")
    async with running(database_url) as service:
        await service.broker.send(
            event("sos", 4, key=key, resident=resident, values={"heart_rate": 96.0}, position=position, ago_ms=2000)
        )
        alert = await row(db, ALERTS)
        assert service.broker.acks == [(4, alert["id"], "opened")]
    assert alert["dedup_key"] == f"sos:{alert['reason_code']}:r{resident}"
    assert (alert["kind"], alert["severity"], alert["state"]) == ("sos", "critical", "open")
    assert (alert["area"], alert["device_id"], alert["lat"], alert["accuracy"]) == ("990102", "H-1", 26.5, 8)
    assert 2 <= alert["delayed_s"] < 3
    sample = await row(db, "select * from sample")
    assert (sample["heart_rate"], sample["lat"], sample["fix"], sample["flags"]) == (96, 26.5, 3, 32)
    stored = await row(db, "select * from event")
    assert (stored["alert"], stored["seq"], stored["position"]["lon"]) == (alert["id"], 4, 104.8)
    trigger = await row(db, "select * from trigger")
    assert (trigger["alert"], trigger["event"]) == (alert["id"], stored["id"])
    assert trigger["handled_at"] is not None


async def test_an_event_that_comes_again_changes_nothing_and_is_told_so(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    sos = event("sos", 4, key=key)
    async with running(database_url) as service:
        for _ in range(3):
            await service.broker.send(sos)
        alert = await row(db, ALERTS)
        states = [state for _, _, state in service.broker.acks]
        assert {ack[1] for ack in service.broker.acks} == {alert["id"]}
    assert states == ["opened", "duplicate", "duplicate"]
    assert alert["triggers"] == 1
    assert len(await rows(db, "select * from event")) == 1


async def test_an_sos_is_no_repeat_of_an_older_event_whose_name_it_bears(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    """A device that lost its count: `boot` and `seq` begin anew."""
    key = await directory.add_device("H-1")
    async with running(database_url) as service:
        await service.broker.send(event("check_in", 1, key=key), event("sos", 2, key=key, ago_ms=7_200_000))
        await service.broker.send(event("sos", 1, key=key))
        await service.broker.send(event("sos", 2, key=key))
        await service.broker.send(event("check_in", 2, key=key))
    assert sorted(service.broker.acks[:2], key=lambda ack: ack[0])[1][2] == "opened"
    assert [ack[2] for ack in service.broker.acks[2:]] == ["merged", "merged", "duplicate"]
    assert (await row(db, "select triggers from alert"))["triggers"] == 3


async def test_an_sos_long_after_the_acknowledgement_calls_people_again(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    state = "select state from alert"
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, key=key))
        await db.execute("select alert_acknowledge(id, 'operator:li', 'page', '') from alert")
        await service.broker.send(event("sos", 2, key=key))
        assert (await row(db, state))["state"] == "acknowledged"
        await db.execute("update alert set acknowledged_at = acknowledged_at - interval '11 minutes'")
        await service.broker.send(event("sos", 3, key=key))
        assert (await row(db, state))["state"] == "open"
        await until(db, "select count(*) = 2 from notification where channel_kind = 'console'")
    assert [ack[2] for ack in service.broker.acks] == ["opened", "merged", "merged"]
    assert (await row(db, "select detail from log where action = 'alert.reopened'"))["detail"] == {"reason": "again"}


async def test_a_hundred_presses_of_one_resident_at_once_are_one_alert(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    resident = await directory.add_resident()
    keys = {n: await directory.add_device(f"H-{n}", wearer=resident) for n in range(1, 5)}
    presses = [event("sos", n, device=f"H-{n % 4 + 1}", key=keys[n % 4 + 1], resident=resident) for n in range(100)]
    async with running(database_url) as one, running(database_url) as two:
        sends = [(one, two)[n % 2].broker.send(press) for n, press in enumerate(presses)]
        await asyncio.gather(*sends)
        alert = await row(db, ALERTS)
        acks = one.broker.acks + two.broker.acks
    assert alert["triggers"] == 100
    assert sorted(state for _, _, state in acks) == ["merged"] * 99 + ["opened"]
    assert len(await rows(db, "select * from log where action = 'alert.joined'")) == 99


async def test_a_cancel_takes_back_its_event_and_no_later_one(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    async with running(database_url) as service:
        await service.broker.send(event("sos", 4, key=key))
        await service.broker.send(event("cancel", 5, key=key, of=4))
        first = await row(db, ALERTS)
        assert service.broker.acks[1] == (5, first["id"], "recorded")
        assert (first["state"], first["closed_by"], first["closed_how"]) == ("cancelled", "device:H-1", "device")
        # Pressed again after the cancel, which overtakes nothing it was not meant for.
        await service.broker.send(event("sos", 6, key=key))
        await service.broker.send(event("sos", 8, key=key))
        await service.broker.send(event("cancel", 7, key=key, of=6))
    _, second = await rows(db, ALERTS)
    assert second["state"] == "open"
    assert await rows(db, "select * from log where alert = %s and action = 'alert.cancel_kept'", second["id"])


async def test_a_cancel_before_its_event_raises_it_and_cancels_it_at_once(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    async with running(database_url) as service:
        await service.broker.send(event("cancel", 5, key=key, of=4))
        assert service.broker.acks == [(5, None, "recorded")]
        await service.broker.send(event("sos", 4, key=key))
        alert = await row(db, ALERTS)
        assert service.broker.acks[1] == (4, alert["id"], "opened")
    assert alert["state"] == "cancelled"
    actions = [entry["action"] for entry in await rows(db, "select action from log order by id")]
    assert actions == ["alert.opened", "alert.cancelled", "alert.confirmation_asked"]
    assert not await rows(db, "select * from notification")
    assert {e["alert"] for e in await rows(db, "select alert from event")} == {alert["id"]}


async def test_a_cancel_of_another_boot_takes_back_nothing(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    async with running(database_url) as service:
        await service.broker.send(event("sos", 4, key=key))
        await service.broker.send(event("cancel", 5, key=key, of=4, boot=2))
    assert (await row(db, ALERTS))["state"] == "open"


@pytest.mark.parametrize(
    ("area", "has_it"),
    [("990102", "990102"), ("990109", "990100"), ("99010207", "990102"), ("520201", "990100")],
)
async def test_an_unknown_device_is_the_nearest_areas(
    directory: Directory, db: AsyncConnection, database_url: str, area: str, has_it: str
) -> None:
    await directory.add_operator("li", "990100")
    async with running(database_url) as service:
        await service.broker.send(event("fall", 1, device="stranger", area=area))
        await until(db, "select exists (select from notification where channel_kind = 'console' and area = '990100')")
    alert = await row(db, ALERTS)
    assert (alert["area"], alert["device_id"], alert["device"], alert["resident"]) == (has_it, "stranger", None, None)


async def test_an_sos_raises_even_without_any_directory(db: AsyncConnection, database_url: str) -> None:
    async with running(database_url) as service:
        await service.broker.send(event("sos", 1, device="stranger"))
        await until(db, "select exists (select from notification where channel_kind = 'console' and area is null)")
    assert (await row(db, ALERTS))["area"] is None


async def test_a_salvaged_sos_raises_without_an_acknowledgement_and_joins_its_own_repeat(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    async with running(database_url) as service:
        await service.broker.send(event("sos", None, key=key))
        await service.broker.send(event("sos", None, key=key))
        assert service.broker.acks == []
    assert (await row(db, ALERTS))["triggers"] == 2


async def test_what_calls_for_nobody_is_recorded(directory: Directory, db: AsyncConnection, database_url: str) -> None:
    key = await directory.add_device("H-1")
    async with running(database_url) as service:
        await service.broker.send(event("check_in", 1, key=key))
        assert service.broker.acks == [(1, None, "recorded")]
    assert not await rows(db, ALERTS)


async def test_power_that_is_back_ends_the_case_of_its_loss(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    async with running(database_url) as service:
        await service.broker.send(event("power_lost", 1, key=key))
        await service.broker.send(event("power_restored", 2, key=key))
        assert [state for _, _, state in service.broker.acks] == ["opened", "recorded"]
        await until(db, "select state = 'resolved' and closed_by = 'system' from alert")
    assert len(await rows(db, ALERTS)) == 1


async def test_an_event_the_database_refuses_does_not_stop_the_others(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    bad = event("check_in", 1, key=key, service="astrology")
    stale = event("sos", 2, device="H-9", key=777_777, resident=888_888, values={"heart_rate": 90.0})
    async with running(database_url) as service:
        await service.broker.send(bad, stale, event("sos", 3, key=key))
        assert sorted(ack[0] for ack in service.broker.acks) == [2, 3]
    alerts = {alert["device_id"]: alert for alert in await rows(db, ALERTS)}
    assert set(alerts) == {"H-1", "H-9"}
    assert alerts["H-9"]["device"] is None


async def test_a_sos_without_a_position_asks_the_handset_for_one_and_shows_the_last_known(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    async with running(database_url) as service:
        await service.broker.send(event("check_in", 1, key=key, position=Position(26.5, 104.8), ago_ms=60_000))
        await service.broker.send(event("sos", 2, key=key))
        await service.broker.send(event("sos", 3, key=key))
        command = await row(db, "select * from command")
        alert = await row(db, ALERTS)
        assert (command["name"], command["device"], command["alert"]) == ("locate", key, alert["id"])
        assert (alert["lat"], alert["lon"]) == (26.5, 104.8)
        reply = Reply(Origin("H-1", "990102", key), str(command["id"]), True, 0, {"lat": 1})
        other = Reply(Origin("H-2", "990102", key + 1), str(command["id"]), False, 0)
        await service.broker.send(checked=Checked(replies=[other, reply, reply]))
    command = await row(db, "select * from command")
    assert (command["ok"], command["result"]) == (True, {"lat": 1})


async def test_what_was_rejected_is_kept_with_its_bytes_and_strangers_are_counted(
    db: AsyncConnection, database_url: str
) -> None:
    message = Inbound("care/v1/990102/x/event", b"{\xff\x00", 1_795_289_357_000)
    checked = Checked(
        rejections=[Rejection(message, "not_utf8", "byte 1\0", "x", "990102")],
        strangers=[Stranger(Origin("x", "990102"), message)],
    )
    async with running(database_url) as service:
        await service.broker.send(checked=checked)
        await service.broker.send(checked=checked)
    kept = await row(db, "select * from quarantine")
    assert (kept["lane"], kept["reason"], kept["payload"], kept["times"]) == ("event", "not_utf8", b"{\xff\x00", 2)
    stranger = await row(db, "select * from unknown_device")
    assert (stranger["device"], stranger["messages"]) == ("x", 2)
    assert stranger["first_seen"] == datetime.fromtimestamp(1_795_289_357, UTC)


async def test_the_samples_columns_are_the_contracts_metrics(db: AsyncConnection) -> None:
    columns = {
        c["column_name"]
        for c in await rows(db, "select column_name from information_schema.columns where table_name = 'sample'")
    }
    assert {metric.name for metric in METRICS} <= columns


@pytest.mark.parametrize("statement", ["update log set actor = 'system'", "delete from log", "truncate log"])
async def test_the_log_is_append_only(db: AsyncConnection, statement: str) -> None:
    await db.execute("insert into log (actor, action) values ('system', 'test')")
    with pytest.raises(Exception, match="append-only"):
        await db.execute(statement.encode())


async def test_while_the_database_is_away_nothing_is_acknowledged_and_nothing_lost(
    directory: Directory, database_url: str, timescale: TimescaleServer
) -> None:
    key = await directory.add_device("H-1")
    async with running(database_url) as service:
        await service.broker.send(event("check_in", 1, key=key))
        timescale.kill()
        batch = await service.broker.tell(event("sos", 2, key=key))
        await asyncio.sleep(0.5)
        assert not batch.acknowledged.is_set()
        assert [seq for seq, _, _ in service.broker.acks] == [1]
        timescale.start()
        async with asyncio.timeout(30):
            await batch.acknowledged.wait()
        assert [(seq, state) for seq, _, state in service.broker.acks] == [(1, "recorded"), (2, "opened")]


async def test_an_sos_does_not_wait_for_a_flood_of_other_events(
    directory: Directory, db: AsyncConnection, database_url: str
) -> None:
    key = await directory.add_device("H-1")
    flood = [event("door", seq, key=key) for seq in range(2000)]
    async with running(database_url) as service:
        floods = await service.broker.tell(*flood)
        await until(db, "select exists (select from event)")
        sos = await service.broker.tell(event("sos", 5000, device="H-2"))
        await until(db, "select exists (select from alert)", within_s=2)
        assert not floods.acknowledged.is_set()
        # To the broker both are acknowledged in their order.
        assert not sos.acknowledged.is_set()
