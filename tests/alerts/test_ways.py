"""One contact, several ways: each kind of channel through the real outbox, and the next kind at once where one fails."""

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts.channels.apprise import Services
from alerts.channels.delivery import Delivery, Outcome, Send
from alerts.channels.device import Devices
from alerts.channels.mail import Mail, MailServer
from alerts.commands import Command, Commands
from alerts.messages import AlertMessage, Place
from alerts.outbox import endpoint_of
from alerts.texts import TO_DO, TYPES, Facts, Letter, write_alert, write_test
from homecare.channels import is_sealed, shown_name
from homecare.wakeups import Wakeups
from tests.alerts.places import VAULT, Directory
from tests.alerts.post_office import PASSWORD, USER, PostOffice, make_certificate, post_office
from tests.alerts.receiver import Receiver, status
from tests.alerts.service import Service, event, row, rows, running, until

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
AT = datetime(2026, 11, 21, 19, 42, 37, tzinfo=UTC)
MESSAGE = AlertMessage(
    type="alert.opened", timestamp=AT, alert_id=UUID(int=1), kind="sos", severity="critical", state="open",
    resident=("R-1", "示例·甲"), device="H-1", area="990102", raised_at=AT, delayed_s=130.0,
    position=Place(26.5921, 104.8302, 8.0, AT), reason_code="sos", reason_zh="紧急呼叫", reason_en="Emergency button",
    step=1, acknowledge_url="https://care.example.org/a/x",
)  # fmt: skip
FACTS = Facts("zh", "Asia/Shanghai", "示例乡 示例村", "Sample village, Sample township", "一号院", "13800000000")


class Town:
    """A contact C-1 of a resident, with the channels a test adds in their order."""

    def __init__(self, directory: Directory, resident: int, office: PostOffice, certificate: Path) -> None:
        self.directory, self.resident, self.office, self.certificate = directory, resident, office, certificate
        self.answers: dict[str, bool] = {}
        """What a device says when it is asked; one that is not here says nothing."""
        self.asked: list[Command] = []
        self._rank = 0

    async def add(self, kind: str, address: str) -> int:
        self._rank += 1
        secret = VAULT.seal(address) if is_sealed(kind) else None
        shown = shown_name(address, VAULT) if is_sealed(kind) else address
        found = await row(
            self.directory.db,
            "insert into channel (contact, rank, kind, address, secret) values ('C-1', %s, %s, %s, %s) returning id",
            self._rank, kind, shown, secret,
        )  # fmt: skip
        return int(found["id"])

    def channels(self, pool: AsyncConnectionPool[AsyncConnection], wakeups: Wakeups) -> dict[str, Send]:
        url = f"smtps://{USER}:{PASSWORD.replace(' ', '%20').replace('@', '%40')}@localhost:{self.office.port}"
        mail = Mail(MailServer.of(url), "care@example.org", ca_file=str(self.certificate))
        services = Services(allow_networks=LOOPBACK, allow_http=True)
        return {"email": mail.send, "apprise": services.send, "device": Devices(pool, wakeups, answer_s=1.0).send}

    async def publish_commands(self, service: Service) -> None:
        """As the alerts process does; the device answers as `answers` says."""
        commands: list[Command] = []

        def message(command: Command) -> tuple[str, bytes]:
            commands.append(command)
            return command.device_id, b""

        async def publish(topic: str, payload: bytes) -> None:
            self.asked.append(command := commands.pop())
            if (ok := self.answers.get(command.device_id)) is not None:
                await self.directory.db.execute(
                    "update command set replied_at = clock_timestamp(), ok = %s where id = %s", [ok, command.id]
                )

        await Commands(service.pool, service.wakeups, publish, message).run()

    def running(self, url: str) -> AbstractAsyncContextManager[Service]:
        return running(url, also=self.channels)


@pytest.fixture
async def town(directory: Directory, tmp_path: Path) -> AsyncIterator[Town]:
    resident = await directory.add_resident()
    await directory.add_contact("C-1", resident=resident)
    certificate, key = make_certificate(tmp_path)
    async with post_office(certificate, key) as office:
        yield Town(directory, resident, office, certificate)


async def test_each_kind_that_fails_starts_the_next_kind_at_once(
    town: Town, db: AsyncConnection, database_url: str, receiver: Receiver
) -> None:
    """Webhook, apprise, device, e-mail: the first three fail in three ways, and the letter is there within seconds."""
    down = Receiver(answer=status(500))
    await down.start()
    await town.directory.add_device("W-9", kind="handset")
    town.answers["W-9"] = False
    await town.add("apprise", down.url.replace("http://", "json://"))
    await town.add("device", "W-9?do=call")
    await town.add("device", "no-such-device")
    await town.add("email", "family@example.org")
    async with town.running(database_url) as service:
        publishing = asyncio.create_task(town.publish_commands(service), name="commands")
        pressed = time.monotonic()
        await service.broker.send(event("sos", 1, resident=town.resident))
        await until(db, "select exists (select from notification where channel_kind = 'email' and state = 'delivered')")
        assert time.monotonic() - pressed < 8
        publishing.cancel()
        await asyncio.wait({publishing})
    await down.close()
    told = await rows(
        db, "select channel_kind, state, last_error from notification where type = 'alert.opened' order by channel"
    )
    assert [tuple(n.values()) for n in told] == [
        ("apprise", "pending", "status_500"),
        ("device", "pending", "device_refused"),
        ("device", "pending", "device_not_there"),
        ("email", "delivered", None),
    ]
    (letter,) = town.office.letters
    assert "示例·甲1" in letter["Subject"]
    assert "https://care.example.org/a/" in letter.get_content()
    (asked,) = town.asked
    assert (asked.name, asked.args["text"]) == ("call", letter["Subject"])


async def test_a_device_that_rings_and_says_so_is_told_and_not_again_when_it_is_over(
    town: Town, db: AsyncConnection, database_url: str
) -> None:
    await town.directory.add_device("W-9", kind="handset")
    town.answers["W-9"] = True
    await town.add("device", "W-9")
    async with town.running(database_url) as service:
        publishing = asyncio.create_task(town.publish_commands(service), name="commands")
        await service.broker.send(event("sos", 1, resident=town.resident))
        await until(db, "select count(*) = 1 from notification where channel_kind = 'device' and state = 'delivered'")
        alert = (await row(db, "select id from alert"))["id"]
        await db.execute("select alert_acknowledge(%s, 'contact:C-1', 'link', '')", [alert])
        await until(db, "select state = 'dropped' from notification where type = 'alert.acknowledged'")
        publishing.cancel()
        await asyncio.wait({publishing})
    assert [command.name for command in town.asked] == ["ring"]
    over = await row(db, "select last_error from notification where type = 'alert.acknowledged'")
    assert over["last_error"] == "nothing_to_ring_for"


async def test_a_device_that_says_nothing_is_a_failure_in_time_and_an_offline_one_at_once(
    town: Town, db: AsyncConnection, database_url: str
) -> None:
    await town.directory.add_device("W-8", kind="handset")
    await town.directory.add_device("W-9", kind="handset")
    await db.execute("update device set state = 'offline' where id = 'W-9'")
    await town.add("device", "W-9")
    await town.add("device", "W-8")
    async with town.running(database_url) as service:
        await service.broker.send(event("sos", 1, resident=town.resident))
        await until(db, "select count(*) = 2 from attempt")
    errors = await rows(db, "select last_error from notification where channel_kind = 'device' order by channel")
    assert [n["last_error"] for n in errors] == ["device_not_there", "no_reply"]


async def test_kinds_that_this_program_cannot_send_are_passed_over(
    town: Town, db: AsyncConnection, database_url: str
) -> None:
    await town.add("pigeon", "coo://loft")
    await town.add("email", "family@example.org")
    async with town.running(database_url) as service:
        await service.broker.send(event("fall", 1, resident=town.resident))
        await until(db, "select exists (select from notification where channel_kind = 'email' and state = 'delivered')")
    assert len(town.office.letters) == 1


async def test_a_new_kind_is_a_send_and_an_entry_and_gets_its_url_and_a_letter(
    town: Town, db: AsyncConnection, database_url: str
) -> None:
    sent: list[Delivery] = []

    async def fly(delivery: Delivery) -> Outcome:
        sent.append(delivery)
        return Outcome("delivered")

    await town.add("pigeon", "coo://loft:token@roof")
    async with running(database_url, also=lambda *_: {"pigeon": fly}) as service:
        await service.broker.send(event("sos", 1, resident=town.resident))
        await until(
            db, "select exists (select from notification where channel_kind = 'pigeon' and state = 'delivered')"
        )
    assert sent[0].secrets == ("coo://loft:token@roof",)
    assert "token" not in sent[0].address
    assert "示例·甲1" in Letter.parse(sent[0].body).subject


async def test_a_letter_is_in_the_contacts_language_and_a_retry_says_the_same(
    town: Town, db: AsyncConnection, database_url: str
) -> None:
    await db.execute("update contact set language = 'en'")
    town.office.refused["family@example.org"] = "450 try again"
    channel = await town.add("email", "family@example.org")
    async with town.running(database_url) as service:
        await service.broker.send(event("sos", 1, resident=town.resident))
        await until(db, "select count(*) = 1 from attempt where outcome = 'refused' and status = 450")
        await db.execute("update contact set language = 'zh'")
        town.office.refused.clear()
        await db.execute("update notification set next_at = clock_timestamp() where channel = %s", [channel])
        await db.execute("notify homecare_outbox")
        await until(db, "select state = 'delivered' from notification where channel = %s", channel)
    (letter,) = town.office.letters
    assert letter["Subject"].startswith("[CRITICAL] 示例·甲1: ")
    assert "What to do: " in letter.get_content()


def test_a_letter_says_what_who_where_when_and_what_to_do() -> None:
    letter = write_alert(MESSAGE, FACTS)
    assert letter.subject == "【特急】示例·甲：紧急呼叫"
    assert letter.text.splitlines() == [
        "谁：示例·甲 13800000000",
        "何事：紧急呼叫",
        "何时：2026-11-22 03:42:37（消息晚到2分钟）",
        "何地：示例乡 示例村，一号院，26.59210, 104.83020 ±8 m (03:42)",
        "怎么办：" + TO_DO["sos"]["zh"],
        "详情和回复：https://care.example.org/a/x",
    ]
    assert Letter.parse(str(letter).encode()) == letter
    english = write_alert(MESSAGE, msgspec.structs.replace(FACTS, language="en"))
    assert english.subject == "[CRITICAL] 示例·甲: Emergency button"
    assert "When: 2026-11-22 03:42:37 (told 2 min late)" in english.text
    assert Letter.parse(str(write_test("en")).encode()) == write_test("en")


def test_every_kind_and_type_has_words_in_both_languages(database_url: str) -> None:
    kinds, types = constraint(database_url, "alert_kind_check"), constraint(database_url, "notification_type_check")
    assert all(f"'{kind}'" in kinds for kind in TO_DO)
    assert kinds.count("::text") - 1 <= len(TO_DO)
    assert all(f"'{name}'" in types for name in TYPES)
    for language in ("zh", "en"):
        for name in TYPES:
            for kind in TO_DO:
                message = msgspec.structs.replace(MESSAGE, type=name, kind=kind, resident=None, position=None)
                letter = write_alert(message, Facts(language))
                assert "\n" not in letter.subject
                assert "H-1" in letter.text


def constraint(url: str, name: str) -> str:
    with psycopg.connect(url) as db:
        found = db.execute("select pg_get_constraintdef(oid) from pg_constraint where conname = %s", [name]).fetchone()
    assert found is not None
    return str(found[0])


def test_a_sealed_address_is_shown_by_a_name_that_tells_nothing() -> None:
    address = "wecombot://0123456789abcdef0123456789abcdef"
    name = shown_name(address, VAULT)
    assert name.startswith("wecombot://…")
    assert "0123456789abcdef" not in name
    assert shown_name(address, VAULT) == name != shown_name(address + "0", VAULT)
    assert endpoint_of(name) == name


@pytest.mark.parametrize("address", ["http://[::1", "H-1", "a@example.org"])
def test_an_endpoint_is_named_whatever_its_address(address: str) -> None:
    assert endpoint_of(address) == address
