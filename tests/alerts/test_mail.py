"""E-mail through a real SMTP server: only over TLS that was checked, the same letter on every retry, refusals by their code."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest

from alerts.channels.delivery import Delivery, Outcome
from alerts.channels.mail import Mail, MailServer
from alerts.texts import Letter
from tests.alerts.post_office import PASSWORD, USER, PostOffice, make_certificate, post_office

BODY = str(Letter("【特急】示例·甲：紧急呼叫", "谁：示例·甲\n怎么办：请先打电话。")).encode()
SENDER = "care@example.org"


def delivery(address: str = "family@example.org") -> Delivery:
    return Delivery(uuid4(), address, (), BODY)


def url(office: PostOffice, scheme: str = "smtps", password: str = PASSWORD) -> str:
    return f"{scheme}://{USER}:{quote(password)}@localhost:{office.port}"


def mail(url: str, ca_file: Path | str = "", timeout_s: float = 5.0) -> Mail:
    return Mail(MailServer.of(url), SENDER, ca_file=str(ca_file), timeout_s=timeout_s)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return make_certificate(tmp_path)


@pytest.fixture
async def office(certificate: tuple[Path, Path]) -> AsyncIterator[PostOffice]:
    async with post_office(*certificate) as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
async def test_a_letter_arrives_encrypted_from_the_first_byte_or_by_starttls(
    certificate: tuple[Path, Path], scheme: str
) -> None:
    async with post_office(*certificate, starttls=scheme == "smtp") as office:
        sent = delivery()
        channel = mail(url(office, scheme), certificate[0])
        assert await channel.send(sent) == Outcome("delivered", 250)
        assert await channel.send(sent) == Outcome("delivered", 250)
    first, again = office.letters
    assert office.encrypted == [True, True]
    assert office.recipients == ["family@example.org"] * 2
    assert (first["Subject"], first["From"], first["To"]) == ("【特急】示例·甲：紧急呼叫", SENDER, "family@example.org")
    assert first.get_content().splitlines() == ["谁：示例·甲", "怎么办：请先打电话。"]
    assert first["Message-ID"] == again["Message-ID"] == f"<{sent.id.hex}@example.org>"
    assert first["Auto-Submitted"] == "auto-generated"


async def test_a_certificate_nobody_vouches_for_gets_neither_letter_nor_password(office: PostOffice) -> None:
    assert await mail(url(office)).send(delivery()) == Outcome("failed", error="tls")
    assert office.letters == []


async def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    another = make_certificate(tmp_path, "another.example.org")
    async with post_office(*another) as office:
        assert await mail(url(office), another[0]).send(delivery()) == Outcome("failed", error="tls")
    assert office.letters == []


async def test_a_server_without_tls_gets_nothing(certificate: tuple[Path, Path]) -> None:
    said: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 plain\r\n")
        while line := await reader.readline():
            said.append(line)
            writer.write(b"250 plain\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        outcome = await mail(f"smtp://{USER}:secret@localhost:{port}", certificate[0]).send(delivery())
        assert outcome.result == "failed"
    assert all(line.split()[0] in (b"EHLO", b"HELO", b"QUIT") for line in said), said


async def test_what_the_server_refuses_is_refused_by_its_code(
    office: PostOffice, certificate: tuple[Path, Path]
) -> None:
    office.refused = {"nobody@example.org": "550 no such mailbox", "full@example.org": "452 mailbox full"}
    channel = mail(url(office), certificate[0])
    assert await channel.send(delivery("nobody@example.org")) == Outcome("refused", 550, "smtp_550")
    assert await channel.send(delivery("full@example.org")) == Outcome("refused", 452, "smtp_452")
    wrong = mail(url(office, password="wrong"), certificate[0])
    assert await wrong.send(delivery()) == Outcome("refused", 535, "smtp_535")
    assert await channel.send(delivery("a@example.org\nBcc: b@example.org")) == Outcome("failed", error="bad_address")
    assert office.letters == []


async def test_no_server_and_one_that_never_speaks_are_failures_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    assert await mail("smtps://127.0.0.1:1").send(delivery()) == Outcome("failed", error="not_connected")
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        outcome = await mail(f"smtp://127.0.0.1:{port}", timeout_s=0.3).send(delivery())
    assert outcome == Outcome("failed", error="timeout")
