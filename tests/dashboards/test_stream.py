"""The event stream: live, resumable, bounded, limited to one's area, and ended with the session or the process."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import aiohttp
import psycopg
import pytest

from dashboards.announcements import QUEUE, Announcement, Listener
from homecare.errors import DatabaseUnavailable
from homecare.tasks import retry
from tests.dashboards.conftest import Dashboard, Visit
from tests.dashboards.town import Town
from tests.services.postgres import TimescaleServer


@dataclass
class Events:
    """A stream that is read event by event."""

    answer: aiohttp.ClientResponse
    fields: dict[str, str] = field(default_factory=dict)

    async def next(self, *, beats: bool = False) -> dict[str, str]:
        """The next event's fields; beats are passed over unless asked for."""
        fields: dict[str, str] = {}
        async for raw in self.answer.content:
            line = raw.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields.get("event") == "beat" and not beats:
                fields = {}
            elif "event" in fields:
                return fields
        return {}


@asynccontextmanager
async def listen(visit: Visit, query: str = "", **headers: str) -> AsyncIterator[Events]:
    timeout = aiohttp.ClientTimeout(total=None, sock_read=10)
    async with visit.http.get(f"{visit.url}/events/alerts{query}", headers=headers, timeout=timeout) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        events = Events(answer)
        assert (await events.next(beats=True))["event"] == "beat"
        yield events


async def test_what_happens_to_an_alert_is_told_with_the_logs_number(dashboard: Dashboard, town: Town) -> None:
    async with listen(await dashboard.signed_in("li")) as events:
        alert = town.alert()
        told = await events.next()
        assert json.loads(told["data"])["alert"] == str(alert)
        assert json.loads(told["data"])["action"] == "alert.opened"
        assert int(told["id"]) == town.one("select id from log where action = 'alert.opened'")


async def test_a_beat_comes_when_nothing_happens(dashboard: Dashboard, town: Town) -> None:
    async with listen(await dashboard.signed_in("li")) as events:
        began = time.monotonic()
        await events.next(beats=True)
        assert 1 < time.monotonic() - began < 2.5


async def test_a_stream_resumes_after_the_last_event_seen(dashboard: Dashboard, town: Town) -> None:
    visit = await dashboard.signed_in("li")
    first = town.alert()
    seen = town.one("select max(id) from log where alert = %s", first)
    missed = town.alert("H-2")
    async with listen(visit, **{"Last-Event-ID": str(seen)}) as events:
        told = [json.loads((await events.next())["data"]) for _ in range(2)]
        assert [one["alert"] for one in told] == [str(missed)] * 2
        assert [one["action"] for one in told] == ["alert.opened", "escalation.step"]
        now = town.log(first, "alert.noted")
        assert int((await events.next())["id"]) == now
    async with listen(visit, f"?since={seen}") as events:
        assert json.loads((await events.next())["data"])["alert"] == str(missed)
    async with listen(visit, "?since=0", **{"Last-Event-ID": str(now - 1)}) as events:
        assert int((await events.next())["id"]) == now


async def test_a_page_from_another_time_is_told_to_load_anew(dashboard: Dashboard, town: Town) -> None:
    visit = await dashboard.signed_in("li")
    async with listen(visit, **{"Last-Event-ID": "999999"}) as events:
        assert (await events.next())["event"] == "reload"
    alert = town.alert()
    town.execute(
        "insert into log (alert, actor, action) select %s, 'system', 'alert.noted' from generate_series(1, 1500)", alert
    )
    async with listen(visit, **{"Last-Event-ID": "1"}) as events:
        assert (await events.next())["event"] == "reload"


async def test_a_line_that_commits_late_under_a_lower_number_is_told_too(dashboard: Dashboard, town: Town) -> None:
    # Of two alerts, for the lines about one come one after the other: they are a chain.
    alert, other = town.alert("H-1"), town.alert("H-2")
    async with listen(await dashboard.signed_in("li")) as events:
        slow = type(town)(type(town.db).connect(town.url), town.url)
        early = slow.log(alert, "alert.noted")
        later = town.log(other, "alert.noted")
        assert int((await events.next())["id"]) == later
        slow.db.commit()
        slow.db.close()
        assert int((await events.next())["id"]) == early


async def test_nobody_hears_of_another_area(dashboard: Dashboard, town: Town) -> None:
    async with listen(await dashboard.signed_in("wang")) as events:
        town.alert("H-2")
        mine = town.alert("H-1")
        assert json.loads((await events.next())["data"])["alert"] == str(mine)


async def test_alerts_without_an_area_are_the_roots(dashboard: Dashboard, town: Town) -> None:
    wang, li = await dashboard.signed_in("wang"), await dashboard.signed_in("li")
    async with listen(wang) as village, listen(li) as county:
        alert = town.alert("H-1")
        await county.next()
        await county.next()
        await village.next()
        await village.next()
        town.execute("update alert set area = null where id = %s", alert)
        town.log(alert, "alert.noted")
        assert json.loads((await county.next())["data"])["action"] == "alert.noted"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(village.next(), 1.5)
    assert (await li.get(f"/alerts/{alert}"))[0] == 200
    assert (await wang.get(f"/alerts/{alert}"))[0] == 404


async def test_looking_at_an_alert_is_no_news(dashboard: Dashboard, town: Town) -> None:
    alert = town.alert()
    visit = await dashboard.signed_in("li")
    async with listen(visit) as events:
        await visit.get(f"/alerts/{alert}")
        number = town.log(alert, "alert.noted")
        assert int((await events.next())["id"]) == number
    assert town.one("select count(*) from log where action = 'alert.viewed' and actor = 'operator:li'") == 1


async def test_a_disabled_operator_stops_hearing(
    dashboard: Dashboard, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboards.pages.stream.RECHECK_S", 0.5)
    async with listen(await dashboard.signed_in("li")) as events:
        town.execute("update operator set disabled_at = now() where login = 'li'")
        assert (await events.next())["event"] == "signed_out"


async def test_fifty_pages_hear_of_an_alert_and_the_process_still_ends_at_once(
    dashboard: Dashboard, town: Town
) -> None:
    visit = await dashboard.signed_in("li")
    visit.http.connector._limit = 0  # type: ignore[union-attr]
    streams = [listen(visit) for _ in range(50)]
    events = await asyncio.gather(*(stream.__aenter__() for stream in streams))
    town.alert()
    async with asyncio.timeout(3):
        told = await asyncio.gather(*(one.next() for one in events))
    assert {json.loads(one["data"])["action"] for one in told} == {"alert.opened"}
    dashboard.stop.set()
    async with asyncio.timeout(5):
        while any([(await one.next(beats=True)) for one in events]):
            pass
    for stream in streams:
        await stream.__aexit__(None, None, None)


async def test_a_stream_that_can_hear_nothing_ends_and_comes_back_with_the_database(
    dashboard: Dashboard, town: Town, timescale: TimescaleServer
) -> None:
    visit = await dashboard.signed_in("li")
    async with listen(visit) as events:
        timescale.kill()
        async with asyncio.timeout(6):
            assert await events.next() == {}
    timescale.start()

    async def works() -> None:
        async with visit.http.get(f"{dashboard.url}/events/alerts") as answer:
            if answer.status != 200:
                raise DatabaseUnavailable("not yet")

    async with asyncio.timeout(20):
        await retry(works, what="the stream", on=DatabaseUnavailable)
    with psycopg.connect(town.url, autocommit=True) as db:
        async with listen(visit) as events:
            alert = Town(db, town.url).alert()
            assert json.loads((await events.next())["data"])["alert"] == str(alert)


def test_a_page_too_slow_for_the_stream_is_told_to_load_anew_and_costs_no_more() -> None:
    listener = Listener()

    def offer(count: int) -> bool:
        for number in range(count):
            listener.offer(Announcement(number, uuid4(), "a", "alert.noted", "sos", "critical", "open"))
        return listener.overflowed

    assert not offer(QUEUE)
    assert offer(1)
    listener.drain()
    assert not offer(QUEUE)
