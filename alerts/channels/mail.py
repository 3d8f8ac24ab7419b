"""E-mail by the site's own SMTP server: over TLS with a checked certificate, or not at all."""

import asyncio
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Self
from urllib.parse import unquote, urlsplit

import aiosmtplib

from alerts.channels.delivery import Delivery, Outcome
from alerts.texts import Letter

TIMEOUT_S = 20.0
"""Less than a lease."""
AT_ONCE = 8
"""Connections to the server: what waits for one waits within its own time."""
PORTS = {"smtps": 465, "smtp": 587}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over. `starttls`: the connection begins in plain text and turns to TLS before anything is said."""

    host: str
    port: int
    starttls: bool
    user: str | None
    password: str | None

    @classmethod
    def of(cls, url: str) -> Self:
        """From `smtps://user:password@host:465` or `smtp://…:587` (STARTTLS)."""
        parts = urlsplit(url)
        user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
        return cls(parts.hostname or "", parts.port or PORTS[parts.scheme], parts.scheme == "smtp", user, password)


class Mail:
    """Sends letters; `send` is the channel. `sender`: the address they come from; `ca_file` empty: the system's."""

    def __init__(self, server: MailServer, sender: str, *, ca_file: str = "", timeout_s: float = TIMEOUT_S) -> None:
        self._server, self._sender, self._timeout_s = server, sender, timeout_s
        self._tls = ssl.create_default_context(cafile=ca_file or None)
        self._room = asyncio.Semaphore(AT_ONCE)

    async def send(self, delivery: Delivery) -> Outcome:
        """Delivered where the server took it. A server's no is refused, with its code; everything else is failed."""
        try:
            message = self._message(delivery)
        except ValueError:
            return Outcome("failed", error="bad_address")
        try:
            async with asyncio.timeout(self._timeout_s), self._room:
                await aiosmtplib.send(
                    message,
                    sender=self._sender,
                    recipients=[delivery.address],
                    hostname=self._server.host,
                    port=self._server.port,
                    username=self._server.user,
                    password=self._server.password,
                    use_tls=not self._server.starttls,
                    start_tls=self._server.starttls,
                    tls_context=self._tls,
                    timeout=self._timeout_s,
                )
        except aiosmtplib.SMTPRecipientsRefused as refused:
            return _refused(refused.recipients[0].code)
        except aiosmtplib.SMTPConnectError as error:
            untrusted = isinstance(error.__cause__, ssl.SSLError)
            return Outcome("failed", error="tls" if untrusted else "not_connected")
        except aiosmtplib.SMTPResponseException as refused:
            return _refused(refused.code)
        except TimeoutError:
            return Outcome("failed", error="timeout")
        except ssl.SSLError:
            return Outcome("failed", error="tls")
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return Outcome("failed", error=type(error).__name__)
        return Outcome("delivered", 250)

    def _message(self, delivery: Delivery) -> EmailMessage:
        letter = Letter.parse(delivery.body)
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, delivery.address, letter.subject
        message["Date"] = formatdate()
        # The same on every retry, so that a mailbox that got it twice may show it once.
        message["Message-ID"] = f"<{delivery.id.hex}@{self._sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        return message


def _refused(code: int) -> Outcome:
    return Outcome("refused", code, f"smtp_{code}")
