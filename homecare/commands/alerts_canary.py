"""The canary of `homecare alerts`: its button is the process's own session with the broker, its contact this machine."""

import base64
import ipaddress
import secrets
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from alerts.channels.delivery import Send
from alerts.channels.webhook import Webhooks
from alerts.watch.canary import NAME, Canary, beside
from alerts.watch.troubles import Begin
from gateway.session import Session
from gateway.topics import format_topic
from homecare.secrets import Vault, private_name
from homecare.settings import Settings


def canary_of(
    settings: Settings,
    stack: AsyncExitStack,
    pool: AsyncConnectionPool[AsyncConnection],
    session: Session,
    channels: dict[str, Send],
    begin: Begin,
) -> Canary | None:
    """None where it is off. `channels` then also reach its own address on this machine, and no other there."""
    if not settings.canary_s:
        return None
    key = settings.secret_key.get_secret_value()
    url = f"http://{settings.canary_listen}/{private_name(key, NAME)}"
    here = ipaddress.ip_network(urlsplit(url).hostname or "")
    own = Webhooks(allow_networks=[here], allow_http=True)
    stack.push_async_callback(own.close)
    channels["webhook"] = beside(channels["webhook"], own.send, url)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()

    async def press(boot: int, seq: int, ts: int) -> None:
        payload = {"boot": boot, "seq": seq, "ts": ts, "event": "sos"}
        await session.publish(format_topic(NAME, NAME, "event"), msgspec.json.encode(payload))

    return Canary(
        pool,
        press,
        begin,
        url=url,
        secret=Vault(key).seal(secret),
        holder=settings.instance,
        every_s=settings.canary_s,
        heartbeat=settings.heartbeat_url.get_secret_value(),
    )
