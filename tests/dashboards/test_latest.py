"""What is latest is shown without a search: readings however old, where somebody was last, what a device lost."""

import json
from datetime import UTC, datetime, timedelta

from tests.dashboards.conftest import Dashboard
from tests.dashboards.town import Town


async def test_latest_readings_are_shown_however_old(dashboard: Dashboard, town: Town) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=90)
    town.sample("H-1", long_ago, heart_rate=71.5, temperature=36.6, lat=26.5, lon=104.8, accuracy=12)
    town.sample("H-1", long_ago + timedelta(hours=1), heart_rate=74, battery=41)
    visit = await dashboard.signed_in("li")
    _, page = await visit.get("/residents/R-1")
    assert "74 次/分" in page
    assert "36.6 °C" in page
    assert "71.5" not in page
    assert "41 %" in page
    _, day = await visit.get("/residents/R-1/day.json")
    told = json.loads(day)
    assert told["track"] == []
    assert [(at["lat"], at["accuracy"], at["device"]) for at in told["last"]] == [(26.5, 12, "H-1")]


async def test_lost_messages_of_a_device_are_shown(dashboard: Dashboard, town: Town) -> None:
    town.execute(
        "insert into device_gap (device, boot, first_seq, last_seq, since) select key, 1, 5, 20, now() from device where id = 'H-1'"
    )
    _, page = await (await dashboard.signed_in("li")).get("/residents/R-1")
    assert "<td>16</td>" in page
