"""Letters that nobody got, on their page: seen by those whose area it is, sent again or put aside with a reason, each in the log."""

from uuid import UUID

from tests.dashboards.conftest import Dashboard
from tests.dashboards.town import Town


def dead_letter(town: Town, alert: UUID, *, disabled: bool = False) -> UUID:
    """To a new contact of the alert's, by e-mail."""
    number = town.one("select count(*) from contact")
    contact = f"D-{number}"
    town.execute("insert into contact (id, name, role) values (%s, %s, 'family')", contact, f"示例·收件人{number}")
    channel = town.one(
        "insert into channel (contact, rank, kind, address, disabled_at, disabled_reason)"
        " values (%s, 1, 'email', 'x@example.org', case when %s then now() end, case when %s then 'gone' end) returning id",
        contact,
        disabled,
        disabled,
    )
    letter: UUID = town.one(
        "insert into notification (alert, type, channel_kind, channel, contact, state, attempts, last_error)"
        " values (%s, 'alert.opened', 'email', %s, %s, 'dead', 14, 'smtp_550') returning id",
        alert,
        channel,
        contact,
    )
    return letter


def state(town: Town, letter: UUID) -> str:
    return str(town.one("select state from notification where id = %s", letter))


async def test_a_dead_letter_is_seen_sent_again_and_put_aside_with_a_reason(dashboard: Dashboard, town: Town) -> None:
    alert = town.alert("H-1")
    letter = dead_letter(town, alert)
    visit = await dashboard.signed_in("wang")
    status, text = await visit.get("/outbox")
    assert status == 200
    for shown in ("示例·收件人", "电子邮件", "smtp_550", "尝试 14 次", f"/alerts/{alert}"):
        assert shown in text, shown
    proof = await visit.proof("/outbox")
    assert (await visit.post(f"/outbox/{letter}/replay", {"csrf": proof}))[0] == 303
    assert state(town, letter) == "pending"
    assert town.one(
        "select replayed_at is not null and next_at <= clock_timestamp() from notification where id = %s", letter
    )
    status, text = await visit.post(f"/outbox/{letter}/replay", {"csrf": proof})
    assert (status, "不在" in text) == (409, True)
    town.execute("update notification set state = 'dead' where id = %s", letter)
    status, text = await visit.post(f"/outbox/{letter}/dismiss", {"csrf": proof, "reason": "  "})
    assert (status, "请说明搁置的原因" in text) == (422, True)
    assert state(town, letter) == "dead"
    assert (await visit.post(f"/outbox/{letter}/dismiss", {"csrf": proof, "reason": "号码已换"}))[0] == 303
    assert state(town, letter) == "dropped"
    assert "smtp_550" not in (await visit.get("/outbox"))[1]
    logged = town.execute(
        "select action, actor, detail ->> 'reason' from log where starts_with(action, 'notification.') order by id"
    )
    assert logged == [
        ("notification.replayed", "operator:wang", None),
        ("notification.dismissed", "operator:wang", "号码已换"),
    ]


async def test_what_cannot_or_need_not_be_sent_again_stays_and_says_why(dashboard: Dashboard, town: Town) -> None:
    alert = town.alert("H-1")
    gone, answered = dead_letter(town, alert, disabled=True), dead_letter(town, alert)
    visit = await dashboard.signed_in("li")
    proof = await visit.proof("/outbox")
    status, text = await visit.post(f"/outbox/{gone}/replay", {"csrf": proof})
    assert (status, "该联系方式已停用" in text) == (409, True)
    town.one("select alert_acknowledge(%s, 'operator:li', 'page', '')", alert)
    status, text = await visit.post(f"/outbox/{answered}/replay", {"csrf": proof})
    assert (status, "无需再呼叫" in text) == (409, True)
    assert (state(town, gone), state(town, answered)) == ("dead", "dead")


async def test_another_villages_letters_are_nowhere_and_an_auditor_only_looks(dashboard: Dashboard, town: Town) -> None:
    letter = dead_letter(town, town.alert("H-1"))
    other = await dashboard.signed_in("bo")
    assert "smtp_550" not in (await other.get("/outbox"))[1]
    proof = await other.proof("/outbox")
    for act in ("replay", "dismiss"):
        assert (await other.post(f"/outbox/{letter}/{act}", {"csrf": proof, "reason": "x"}))[0] == 409
    auditor = await dashboard.signed_in("audit")
    text = (await auditor.get("/outbox"))[1]
    assert "smtp_550" in text
    assert f"/outbox/{letter}/replay" not in text
    assert (await auditor.post(f"/outbox/{letter}/replay", {"csrf": await auditor.proof("/outbox")}))[0] == 403
    assert state(town, letter) == "dead"
