"""The API: tokens and scopes, pages of alerts, answers, samples, adoption, test notifications, problems by name."""

import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.dashboards.conftest import Dashboard
from tests.dashboards.town import Town

ALL = ("alerts:read", "alerts:write", "residents:read", "devices:read", "devices:write", "contacts:write")


def token_of(town: Town, login: str, *scopes: str, name: str = "test") -> str:
    token = secrets.token_urlsafe(24)
    town.execute(
        "insert into api_token (token_hash, operator, name, scopes, expires_at)"
        " select %s, id, %s, %s, now() + interval '1 day' from operator where login = %s",
        hashlib.sha256(token.encode()).digest(), name, list(scopes or ALL), login,
    )  # fmt: skip
    return token


class Caller:
    """Somebody's software."""

    def __init__(self, dashboard: Dashboard, token: str) -> None:
        self._dashboard = dashboard
        self._headers = {"Authorization": f"Bearer {token}"}

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        async with self._dashboard.http.request(
            method, f"{self._dashboard.url}/api/v1/{path}", json=body, headers=self._headers
        ) as answer:
            text = await answer.text()
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
            return answer.status, json.loads(text) if text else None

    async def get(self, path: str) -> Any:
        status, answer = await self.call("GET", path)
        assert status == 200, answer
        return answer


@pytest.fixture
def caller(dashboard: Dashboard, town: Town) -> Caller:
    return Caller(dashboard, token_of(town, "li"))


async def test_a_token_is_needed_and_must_be_good_for_it(dashboard: Dashboard, town: Town, caller: Caller) -> None:
    status, problem = await Caller(dashboard, "guessed").call("GET", "alerts")
    assert (status, problem["type"]) == (401, "/api/v1/docs#no_valid_token")
    reader = Caller(dashboard, token_of(town, "li", "alerts:read", name="reader"))
    assert (await reader.call("GET", "alerts"))[0] == 200
    status, problem = await reader.call("GET", "residents")
    assert (status, problem["type"]) == (403, "/api/v1/docs#scope_missing")
    auditor = Caller(dashboard, token_of(town, "audit"))
    assert (await auditor.call("POST", f"alerts/{town.alert()}/acknowledge"))[0] == 403
    for spoil in (
        "update api_token set expires_at = now()",
        "update api_token set expires_at = now() + interval '1 day', revoked_at = now()",
        "update api_token set revoked_at = null; update operator set disabled_at = now()",
    ):
        town.execute(spoil)
        assert (await caller.call("GET", "alerts"))[0] == 401, spoil


async def test_a_session_is_no_token(dashboard: Dashboard, town: Town) -> None:
    visit = await dashboard.signed_in("li")
    assert (await visit.get("/api/v1/alerts"))[0] == 401


async def test_alerts_come_in_pages_and_by_state(town: Town, caller: Caller) -> None:
    opened = [town.alert(kind=kind) for kind in ("sos", "fall", "vital", "battery", "place")]
    town.one("select alert_resolve(%s, 'operator:li', 'page', 'true', '')", opened[0])
    first = await caller.get("alerts?most=2&state=open")
    second = await caller.get(f"alerts?most=2&state=open&after={first['next']}")
    assert [alert["id"] for page in (first, second) for alert in page["items"]] == [str(a) for a in opened[:0:-1]]
    assert second["next"] is None
    resolved = await caller.get("alerts?state=resolved&state=cancelled")
    assert [(alert["id"], alert["outcome"]) for alert in resolved["items"]] == [(str(opened[0]), "true")]
    assert resolved["items"][0]["closed"]["by"] == "operator:li"
    status, problem = await caller.call("GET", "alerts?after=???")
    assert (status, problem["type"]) == (422, "/api/v1/docs#bad_cursor")
    status, problem = await caller.call("GET", "alerts?state=new")
    assert (status, problem["type"], problem["errors"][0]["at"]) == (422, "/api/v1/docs#invalid", "query.state.0")


async def test_answers_are_given_once_and_a_lost_race_is_told(town: Town, caller: Caller) -> None:
    alert = town.alert()
    status, happened = await caller.call("POST", f"alerts/{alert}/acknowledge", {"note": "on my way"})
    assert (status, happened["answer"], happened["alert"]["state"]) == (200, "acknowledged", "acknowledged")
    assert happened["alert"]["acknowledged"]["by"] == "token:test"
    assert (await caller.call("POST", f"alerts/{alert}/acknowledge"))[1]["answer"] == "already_acknowledged"
    assert happened["alert"]["answer_until"] > happened["alert"]["acknowledged"]["at"]
    arrived = (await caller.call("POST", f"alerts/{alert}/arrive"))[1]
    assert (arrived["answer"], arrived["alert"]["arrived"]["by"]) == ("arrived", "token:test")
    assert arrived["alert"]["answer_until"] is None
    assert (await caller.call("POST", f"alerts/{alert}/confirm", {"well": True}))[1]["answer"] == "closed"
    assert (await caller.call("POST", f"alerts/{alert}/decline"))[1]["answer"] == "declined"
    assert (await caller.call("POST", f"alerts/{alert}/notes", {"note": "looked"}))[1]["answer"] == "noted"
    assert (await caller.call("POST", f"alerts/{alert}/resolve", {"outcome": "perhaps"}))[0] == 422
    assert (await caller.call("POST", f"alerts/{alert}/resolve", {"outcome": "drill"}))[1]["answer"] == "resolved"
    assert (await caller.call("POST", f"alerts/{alert}/resolve", {"outcome": "true"}))[1]["answer"] == "closed"
    assert town.one("select outcome from alert where id = %s", alert) == "drill"


async def test_a_person_and_what_was_measured(town: Town, caller: Caller) -> None:
    town.day()
    resident = await caller.get("residents/R-1")
    assert [contact["id"] for contact in resident["contacts"]] == ["C-11", "C-12"]
    assert [device["id"] for device in resident["devices"]] == ["H-1"]
    assert "key" not in resident
    end = datetime.now(UTC)
    span = f"from={(end - timedelta(hours=25)):%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}"
    measured = await caller.get(f"residents/R-1/samples?{span}&metrics=systolic,diastolic")
    assert measured["units"] == {"systolic": "mm[Hg]", "diastolic": "mm[Hg]"}
    assert [sample["values"] for sample in measured["samples"]] == [
        {"systolic": 152.0, "diastolic": 95.0},
        {"systolic": 148.0, "diastolic": 91.0},
    ]
    assert len((await caller.get(f"residents/R-1/samples?{span}"))["samples"]) == 128
    for bad, name in (
        (f"{span}&metrics=mood", "unknown_metric"),
        ("from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z", "bad_range"),
    ):
        status, problem = await caller.call("GET", f"residents/R-1/samples?{bad}")
        assert (status, problem["type"]) == (422, f"/api/v1/docs#{name}")


async def test_people_and_devices_come_in_pages(caller: Caller) -> None:
    for path, ids in (("residents", ["R-1", "R-2"]), ("devices", ["H-1", "H-2"])):
        first = await caller.get(f"{path}?most=1")
        second = await caller.get(f"{path}?most=1&after={first['next']}")
        assert [page["items"][0]["id"] for page in (first, second)] == ids
        assert second["next"] is None
    assert [one["id"] for one in (await caller.get("residents?search=CARD2"))["items"]] == ["R-2"]
    assert (await caller.get("residents?search=%25"))["items"] == []


async def test_an_unknown_device_is_adopted_once(town: Town, caller: Caller) -> None:
    town.execute("insert into unknown_device values ('K-9', '99010102', now(), now(), 8)")
    assert [(one["device"], one["messages"]) for one in (await caller.get("devices/unknown"))["items"]] == [("K-9", 8)]
    adoption = {"device": "K-9", "area": "99010102", "kind": "kiosk", "interval_s": 600}
    status, problem = await caller.call("POST", "devices/unknown/adopt", adoption | {"resident": "R-2"})
    assert (status, problem["type"]) == (422, "/api/v1/docs#kiosk_is_nobodys")
    assert (await caller.call("POST", "devices/unknown/adopt", adoption))[0] == 204
    assert (await caller.call("POST", "devices/unknown/adopt", adoption))[0] == 409
    assert town.execute("select area, kind, interval_s from device where id = 'K-9'") == [("99010102", "kiosk", 600.0)]


async def test_the_quarantine_shows_the_raw_bytes(town: Town, caller: Caller) -> None:
    town.execute(
        "insert into quarantine (received, last_received, lane, topic, payload, reason, detail, device, area)"
        " values (now(), now(), 'telemetry', 'care/v1/99010101/H-1/telemetry', '\\xff00'::bytea, 'not_utf8', '', 'H-1', '99010101')"
    )
    (message,) = (await caller.get("quarantine"))["items"]
    assert (message["reason"], message["payload"]) == ("not_utf8", "/wA=")


async def test_a_test_notification_goes_to_every_channel(town: Town, caller: Caller) -> None:
    status, sent = await caller.call("POST", "contacts/C-11/test")
    assert status == 202
    assert town.execute("select id::text, type, contact, state from notification") == [
        (sent["notifications"][0], "test", "C-11", "pending")
    ]
    town.execute("update channel set disabled_at = now(), disabled_reason = 'gone'")
    assert (await caller.call("POST", "contacts/C-11/test"))[0] == 409
    assert (await caller.call("POST", "contacts/nobody/test"))[0] == 404


async def test_the_api_describes_itself_without_outside_hosts(dashboard: Dashboard) -> None:
    visit = dashboard.visit()
    status, text = await visit.get("/api/v1/openapi.json")
    described = json.loads(text)
    assert status == 200
    assert described["paths"]["/alerts/{alert_id}/resolve"]["post"]["security"] == [{"HTTPBearer": ["alerts:write"]}]
    status, page = await visit.get("/api/v1/docs")
    assert status == 200
    assert "/api/v1/residents/{resident_id}/samples" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    async with dashboard.http.get(f"{dashboard.url}/api/v1/none") as answer:
        assert (answer.status, answer.content_type) == (404, "application/problem+json")
