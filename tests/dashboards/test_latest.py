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


async def test_a_week_has_hours_and_a_year_has_days_rolled_up_or_still_open(dashboard: Dashboard, town: Town) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    past = hour - timedelta(days=3)
    for minute, pulse in ((0, 61.0), (20, 75.0), (40, 95.0)):
        town.sample("H-1", past + timedelta(minutes=minute), heart_rate=pulse)
        town.sample("H-2", past + timedelta(minutes=minute), heart_rate=180.0)
    town.roll_up()
    town.sample("H-1", datetime.now(UTC), heart_rate=70.0)
    visit = await dashboard.signed_in("li")
    for span in ("week", "month", "year"):
        _, answer = await visit.get(f"/residents/R-1/history.json?span={span}")
        chart = json.loads(answer)["charts"]["heart_rate"]
        drawn = [value for value in chart["series"]["heart_rate"] if value is not None]
        assert drawn == [77.0, 70.0], span
        assert (chart["low"]["heart_rate"][0], chart["high"]["heart_rate"][0]) == (61, 95)
    assert (await visit.get("/residents/R-1/history.json?span=decade"))[0] == 422
    assert town.one("select count(*) from log where action = 'resident.viewed'") == 3
