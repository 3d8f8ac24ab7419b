"""Signing in and out: the cookie, the proof on every unsafe request, guessing slowed down."""

import pytest

from dashboards.passwords import generate_password, hash_password, verify_password
from dashboards.throttle import FREE_OF_ADDRESS, Throttle
from tests.dashboards.conftest import Dashboard
from tests.dashboards.town import Town


async def test_nothing_is_shown_before_signing_in(dashboard: Dashboard) -> None:
    visit = dashboard.visit()
    for path in ("/", "/queue", "/residents", "/residents/R-1", "/devices/unknown", "/quarantine", "/outbox"):
        status, text = await visit.get(path, Accept="text/html")
        assert (status, text) == (303, ""), path
    assert (await visit.get("/events/alerts", Accept="text/event-stream"))[0] == 401
    assert (await visit.get("/api/v1/alerts"))[0] == 401


async def test_sign_in_gives_a_cookie_scripts_cannot_read_and_stores_only_its_hash(
    dashboard: Dashboard, town: Town
) -> None:
    visit = dashboard.visit()
    proof = await visit.proof("/login")
    async with visit.http.post(
        f"{dashboard.url}/login",
        data={"login": "li", "password": "a long enough password", "csrf": proof, "next": "//elsewhere.invalid"},
        allow_redirects=False,
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        cookie = answer.cookies["homecare_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"
    stored = town.one("select token_hash from operator_session")
    assert cookie.value.encode() not in bytes(stored)
    assert (await visit.get("/"))[0] == 200


async def test_a_wrong_password_and_an_unknown_login_are_told_alike(dashboard: Dashboard) -> None:
    visit = dashboard.visit()
    proof = await visit.proof("/login")
    answers = [
        await visit.post("/login", {"login": login, "password": "wrong", "csrf": proof}) for login in ("li", "nobody")
    ]
    assert [status for status, _ in answers] == [401, 401]
    assert all("账号或密码错误" in text for _, text in answers)


async def test_guessing_is_slowed_down_and_no_colleague_at_the_same_address_waits_for_it(dashboard: Dashboard) -> None:
    visit = dashboard.visit()
    proof = await visit.proof("/login")
    statuses = [(await visit.post("/login", {"login": "li", "password": "x", "csrf": proof}))[0] for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    await dashboard.signed_in("wang")


def test_many_failures_from_one_address_are_slowed_down_whatever_the_login() -> None:
    throttle = Throttle(lambda: 1000.0, free=FREE_OF_ADDRESS)
    for _ in range(50):
        assert throttle.wait_s("192.0.2.1") == 0
        throttle.failed("192.0.2.1")
    assert throttle.wait_s("192.0.2.1") == 1


async def test_unsafe_requests_without_their_proof_are_refused(dashboard: Dashboard, town: Town) -> None:
    alert = town.alert()
    visit = await dashboard.signed_in("li")
    assert (await dashboard.visit().post("/login", {"login": "li", "password": "x"}))[0] == 403
    for path in (
        f"/alerts/{alert}/acknowledge",
        f"/alerts/{alert}/resolve",
        f"/alerts/{alert}/notes",
        "/console/received",
        "/devices/unknown/adopt",
        "/language",
        "/logout",
    ):
        data = {"outcome": "true", "note": "x", "alerts": str(alert), "language": "en"}
        data |= {"device": "X-1", "area": "990100", "kind": "handset", "interval_s": "60"}
        assert (await visit.post(path, data))[0] == 403, path
        assert (await visit.post(path, data, **{"X-CSRF-Token": "guessed"}))[0] == 403, path
    assert town.one("select state from alert where id = %s", alert) == "open"


async def test_a_disabled_operator_and_a_signed_out_one_see_nothing_more(dashboard: Dashboard, town: Town) -> None:
    visit, other = await dashboard.signed_in("li"), await dashboard.signed_in("wang")
    town.execute("update operator set disabled_at = now() where login = 'li'")
    assert (await visit.get("/"))[0] == 303
    assert (await other.post("/logout", {"csrf": await other.proof()}))[0] == 303
    assert (await other.get("/"))[0] == 303
    assert (
        town.one("select count(*) from operator_session s join operator o on o.id = s.operator where login = 'wang'")
        == 0
    )


async def test_an_auditor_looks_and_changes_nothing(dashboard: Dashboard, town: Town) -> None:
    alert = town.alert()
    visit = await dashboard.signed_in("audit")
    status, text = await visit.get("/")
    assert status == 200
    assert f"/alerts/{alert}/acknowledge" not in text
    status, _ = await visit.post(f"/alerts/{alert}/acknowledge", {"csrf": await visit.proof()})
    assert status == 403
    assert town.one("select state from alert where id = %s", alert) == "open"


async def test_the_language_is_the_operators_until_they_choose_another(dashboard: Dashboard) -> None:
    visit = await dashboard.signed_in("bo")
    assert "Waiting for an answer" in (await visit.get("/"))[1]
    assert (await visit.post("/language", {"language": "zh", "csrf": await visit.proof(), "back": "/residents"}))[
        0
    ] == 303
    assert "等待处理" in (await visit.get("/"))[1]


async def test_pages_carry_a_strict_policy_and_are_not_kept(dashboard: Dashboard) -> None:
    async with dashboard.http.get(dashboard.url + "/login") as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "<script>" not in await answer.text()
        assert " style=" not in await answer.text()


def test_the_throttle_waits_longer_each_time_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    throttle = Throttle(lambda: now)
    for _ in range(5):
        assert throttle.wait_s("a") == 0
        throttle.failed("a")
    assert throttle.wait_s("a") == 1
    now += 1
    throttle.failed("a")
    assert throttle.wait_s("a") == 2
    assert throttle.wait_s("b") == 0
    throttle.succeeded("a")
    assert throttle.wait_s("a") == 0
    monkeypatch.setattr("dashboards.throttle.REMEMBERED", 2)
    for key in ("c", "d", "e"):
        for _ in range(6):
            throttle.failed(key)
    assert [throttle.wait_s(key) > 0 for key in ("c", "d", "e")] == [False, True, True]


def test_passwords_are_argon2id_and_made_ones_differ() -> None:
    assert hash_password("x").startswith("$argon2id$")
    assert not verify_password(None, "x")
    assert not verify_password("not a hash", "x")
    assert generate_password() != generate_password()
