"""A broker whose queue is full drops without a word to any device; whoever watches the system is told."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt
import pytest

import homecare.broker
from homecare.broker import CONFIGURATION, Broker
from tests.acceptance.ingest_site import AREA, figure, publisher, reading, register_village, send
from tests.acceptance.waiting import until
from tests.services.processes import Processes

ROOM = 5
"""Messages the broker keeps for one who is away."""
SENT = 60
DROPPED = "homecare_broker_dropped_messages"
RULES = Path(__file__).parents[2] / "deploy/prometheus/alerts.yml"


@pytest.fixture
def small_queues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever broker starts from now on has no more room than that, and says every second what it dropped."""
    conf = (CONFIGURATION / "mosquitto.conf").read_text("utf-8")
    conf, replaced = re.subn(r"(?m)^max_queued_messages \d+$", f"max_queued_messages {ROOM}\nsys_interval 1", conf)
    assert replaced == 1
    (tmp_path / "mosquitto.conf").write_text(conf, "utf-8")
    (tmp_path / "acl").write_text((CONFIGURATION / "acl").read_text("utf-8"), "utf-8")
    monkeypatch.setattr(homecare.broker, "CONFIGURATION", tmp_path)


def rule_holds(before: float | None, now: float) -> bool:
    """Whether the rule for dropped messages holds, ten minutes after it was `before`; None: it was not scraped then."""
    (expression,) = re.findall(r"^ +expr: (.*broker_dropped.*)$", RULES.read_text("utf-8"), re.MULTILINE)
    assert expression == f"increase({DROPPED}[10m]) > 0 or ({DROPPED} > 0 unless {DROPPED} offset 10m)"
    return now > 0 if before is None else now > before


async def test_what_the_broker_drops_for_an_absent_shard_is_told(
    small_queues: None, broker: Broker, processes: Processes, database_url: str
) -> None:
    register_village(database_url)
    process = await processes.start("ingest")
    assert await figure(process, DROPPED, lambda value: value == 0)
    assert not rule_holds(0, 0)
    assert await process.stop() == 0  # its session stays with the broker
    async with publisher(broker) as client:
        for seq in range(SENT):
            await send(client, "telemetry", reading(seq))  # each has its PUBACK
    process = await processes.start("ingest")
    await until(database_url, "select count(*) from sample", [(ROOM,)])
    assert await figure(process, DROPPED, lambda value: value == SENT - ROOM)
    assert rule_holds(0, SENT - ROOM)
    assert rule_holds(None, SENT - ROOM)  # away for longer than the rule looks back


async def test_what_it_drops_for_somebody_else_is_told_while_it_happens(
    small_queues: None, broker: Broker, processes: Processes, database_url: str
) -> None:
    register_village(database_url)
    process = await processes.start("ingest")
    assert await figure(process, DROPPED, lambda value: value == 0)
    url = urlsplit(broker.url())
    me = {"port": broker.port, "username": url.username, "password": broker.users["homecare"]}
    async with aiomqtt.Client("127.0.0.1", identifier="another", clean_session=False, **me) as other:  # type: ignore[arg-type]
        await other.subscribe(f"care/v1/{AREA}/+/telemetry", qos=1)
    async with publisher(broker) as client:
        for seq in range(ROOM + 7):
            await send(client, "telemetry", reading(seq))
    await until(database_url, "select count(*) from sample", [(ROOM + 7,)])
    assert await figure(process, DROPPED, lambda value: value == 7)
    assert rule_holds(0, 7)
