"""The case report: everything of a case on one page, in both languages, with its picture and the proof of its log; and SCAIP."""

import asyncio
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from playwright.async_api import Browser

from dashboards.report import durations, pictures
from dashboards.scaip import call_back
from dashboards.story import Logged, Notified
from tests.dashboards.browsing import desk
from tests.dashboards.conftest import Dashboard, enter
from tests.dashboards.test_api import Caller, token_of
from tests.dashboards.town import VILLAGE_A, Town

WHOLE, BROKEN = "本案记录完整", "本案记录不完整"


def handled(town: Town) -> UUID:
    """A pulse that was too high: told, taken, arrived at, closed; with a day of readings around it."""
    town.day()
    alert = town.alert("H-1", "vital", "urgent", ago_s=600)
    town.execute("update alert set metric = 'heart_rate' where id = %s", alert)
    town.execute(
        "insert into attempt (notification, took_ms, outcome) select id, 12, 'delivered' from notification"
        " where alert = %s and channel_kind = 'webhook'",
        alert,
    )
    town.one("select alert_acknowledge(%s, 'contact:C-11', 'link', '')", alert)
    town.one("select alert_arrive(%s, 'contact:C-11', 'link', '')", alert)
    town.one("select alert_resolve(%s, 'operator:li', 'page', 'true', '已服药')", alert)
    return alert


async def test_a_case_is_told_from_its_trigger_to_its_end(dashboard: Dashboard, town: Town) -> None:
    alert = handled(town)
    town.execute("delete from sample where ts between now() - interval '3 hours' and now() - interval '2 hours'")
    visit = await dashboard.signed_in("wang")
    status, text = await visit.get(f"/alerts/{alert}/report")
    assert status == 200
    for said in (
        "案件报告",
        "示例·甲一",
        "示例镇甲村",
        "收缩压 182 mmHg，高于 160",
        "属实",
        "已服药",
        "示例·甲女儿",
        WHOLE,
        "尚未封存",
    ):
        assert said in text, said
    for milestone in ("received", "told", "acknowledged", "arrived", "closed"):
        assert f'data-milestone="{milestone}"' in text
    assert text.count("<polyline") == 2  # no line is drawn across the hour without readings
    english = (await visit.get(f"/alerts/{alert}/report?language=en"))[1]
    for said in (
        "Case report",
        "Heart rate, /min",
        "Systolic pressure 182 mmHg",
        "The log of this case is whole",
        "Village A",
    ):
        assert said in english, said
    assert (await visit.get(f"/alerts/{town.alert('H-2')}/report"))[0] == 404
    assert town.one("select count(*) from log where action = 'alert.viewed' and detail ->> 'how' = 'report'") == 2
    assert f'href="/alerts/{alert}/report"' in (await visit.get(f"/alerts/{alert}"))[1]


@pytest.mark.parametrize(
    "spoil",
    [
        "update log set detail = jsonb_build_object('how', 'nobody') where action = 'alert.acknowledged'",
        "delete from log where action = 'alert.arrived'",
        "delete from log where action = 'alert.viewed'",
    ],
)
async def test_a_log_that_was_changed_is_not_called_whole(dashboard: Dashboard, town: Town, spoil: str) -> None:
    alert = handled(town)
    visit = await dashboard.signed_in("wang")
    assert WHOLE in (await visit.get(f"/alerts/{alert}/report"))[1]
    town.execute("alter table log disable trigger log_is_append_only")
    town.execute(spoil)
    assert BROKEN in (await visit.get(f"/alerts/{alert}/report"))[1]


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_on_paper_it_is_one_page(
    browser: Browser, dashboard: Dashboard, town: Town, tmp_path: Path, language: str
) -> None:
    alert = handled(town)
    for number in range(40):
        town.log(alert, "alert.noted", note=f"示例 {number}")
    async with desk(browser) as page:
        await enter(page, dashboard.url, "li")
        await page.goto(f"{dashboard.url}/alerts/{alert}/report?language={language}")
        paper = tmp_path / "report.pdf"
        await page.pdf(path=paper, prefer_css_page_size=True)
        assert paper.read_bytes().count(b"/Type /Page\n") == 1


def test_milestones_count_from_the_first_trigger(town: Town) -> None:
    raised = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)

    class Case:
        raised_at, delayed_s, closed_at = raised, 2.0, None

    def at(seconds: float) -> datetime:
        return raised + timedelta(seconds=seconds)

    def entry(number: int, seconds: float, action: str) -> Logged:
        return Logged(number, at(seconds), "system", None, action, {})

    attempts: list[dict[str, Any]] = [
        {"at": at(5).isoformat(), "outcome": "failed"},
        {"at": at(9).isoformat(), "outcome": "delivered"},
    ]
    told = Notified(UUID(int=1), at(3), "alert.opened", 1, 0, "webhook", "delivered", None, at(3), "x", attempts)
    log = [entry(1, 30, "alert.acknowledged"), entry(2, 90, "alert.acknowledged")]
    assert [(s.name, s.seconds) for s in durations(Case(), log, [told])] == [  # type: ignore[arg-type]
        ("received", 2.0),
        ("told", 9.0),
        ("acknowledged", 30.0),
    ]


def test_a_case_without_readings_has_no_picture() -> None:
    now = datetime.now(UTC)

    class Case:
        metric, raised_at = None, now

    assert pictures(Case(), [], now - timedelta(hours=1), now) == []  # type: ignore[arg-type]


async def test_rules_are_judged_by_what_people_said(dashboard: Dashboard, town: Town) -> None:
    for outcome in ("true", "true", "false", "drill", "technical"):
        town.one("select alert_resolve(%s, 'operator:li', 'page', %s, '')", town.alert("H-1", "sos"), outcome)
    town.alert("H-1", "sos")
    town.one("select alert_cancel(%s, 'device:H-2', 'event', '')", town.alert("H-2", "fall"))
    rows = town.execute("select * from rule_precision(%s, false, now() - interval '1 day')", VILLAGE_A)
    assert rows == [("sos", 1, "sos", 6, 2, 1, 1, 1, 0, 1)]
    text = (await (await dashboard.signed_in("wang")).get("/rules/precision"))[1]
    assert "67 %" in text
    assert "fall" not in text.partition("<tbody>")[2]
    assert "fall" in (await (await dashboard.signed_in("li")).get("/rules/precision?days=7"))[1].partition("<tbody>")[2]
    out = await command(town, "--area", VILLAGE_A)
    assert out.splitlines()[1].split() == ["sos", "1", "6", "2", "1", "1", "1", "0", "1", "67%"]
    assert len((await command(town)).splitlines()) == 3
    assert (await command(town, "--since", "2999-01-01")).count("\n") == 1
    assert "there is no such area" in await command(town, "--area", "1", status=2)
    assert "expected a day" in await command(town, "--since", "yesterday", status=2)


async def command(town: Town, *arguments: str, status: int = 0) -> str:
    program = Path(sys.executable).with_name("homecare")
    done = await asyncio.create_subprocess_exec(
        program, "rules", "precision", *arguments,
        env={"HOMECARE_DATABASE_URL": town.url, "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await done.communicate()
    assert done.returncode == status, said
    return said.decode()


SCHEMA = {
    "ref": r"\d{12}", "mty": "ME", "cid": r"[A-Za-z0-9_.:-]{1,64}", "dty": r"\d{4}", "did": r"[A-Za-z0-9_.:-]{1,64}",
    "stc": r"\d{4}", "crd": r"gsm:\+?\d+|no-voice:",
}  # fmt: skip
"""The elements this product sends, in their order, and what each looks like."""


async def test_alerts_go_out_as_scaip_coded_messages(dashboard: Dashboard, town: Town) -> None:
    caller = Caller(dashboard, token_of(town, "li"))
    coded = {}
    for kind in ("sos", "fall", "battery", "silence", "vital"):
        alert = town.alert("H-1", kind)
        coded[kind] = await scaip(dashboard, caller, alert)
    assert {kind: (fields["dty"], fields["stc"]) for kind, fields in coded.items()} == {
        "sos": ("0003", "0010"),
        "fall": ("0005", "0009"),
        "battery": ("0003", "0016"),
        "silence": ("0003", "0073"),
        "vital": ("0003", "0009"),
    }
    assert coded["sos"]["cid"] == coded["sos"]["did"] == "H-1"
    assert coded["sos"]["crd"] == "gsm:01000000001"
    alert = town.one("select id from alert where kind = 'sos'")
    town.one("select alert_resolve(%s, 'operator:li', 'page', 'true', '')", alert)
    over = await scaip(dashboard, caller, alert)
    assert (over["stc"], over["ref"] == coded["sos"]["ref"]) == ("0111", False)
    assert (await Caller(dashboard, token_of(town, "bo", name="other")).call("GET", f"alerts/{alert}/scaip"))[0] == 404


async def scaip(dashboard: Dashboard, caller: Caller, alert: UUID) -> dict[str, str]:
    address = f"{dashboard.url}/api/v1/alerts/{alert}/scaip"
    async with dashboard.http.get(address, headers=caller._headers) as answer:
        assert answer.content_type == "application/scaip+xml"
        message = ET.fromstring(await answer.text())
    assert (message.tag, message.attrib, [part.tag for part in message]) == ("mrq", {}, list(SCHEMA))
    fields = {part.tag: part.text or "" for part in message}
    assert [name for name, pattern in SCHEMA.items() if not re.fullmatch(pattern, fields[name])] == []
    return fields


def test_a_number_to_call_back_is_digits_alone() -> None:
    assert [call_back(phone) for phone in ("+86 10-0000", "", None)] == ["gsm:+86100000", "no-voice:", "no-voice:"]
