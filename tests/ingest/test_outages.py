"""What the rules say of an area, which is about no device, is stored with the area and known again after a restart."""

import msgspec
import psycopg

from homecare.triggers import Trigger
from ingest.store import Store
from tests.ingest.home import AREA, NOW, Home, checked_of, trigger
from tests.ingest.test_restore import restored


def outage(key: str, at: int, state: str, area: str = AREA) -> Trigger:
    made = msgspec.structs.replace(trigger(key, 0), at=at, rule="outage", kind="outage", metric=None, area=area)
    return msgspec.structs.replace(made, state=state, evidence={"since": at, "silent": 7})


async def test_an_outage_is_stored_with_its_area(store: Store, db: psycopg.Connection, home: Home) -> None:
    assert home.handset
    await store.write(checked_of(), [outage("o1", NOW, "raised")])
    stored = db.execute("select kind, area, device, device_id, resident from trigger").fetchall()
    assert stored == [("outage", AREA, None, None, None)]


async def test_the_last_word_on_each_areas_outage_is_recalled(store: Store, url: str, home: Home) -> None:
    first, last = outage("o1", NOW - 10**9, "raised"), outage("o2", NOW, "cleared")
    other = outage("o3", NOW - 5, "raised", "990199")
    await store.write(checked_of(), [first, last, other])
    rules = await restored(url, NOW, home.handset)
    assert sorted(rules.recalled, key=lambda one: one.key) == [last, other]
