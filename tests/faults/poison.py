"""Messages that nothing good can be made of, one in ten: how fast do the good ones still go through?"""

import asyncio
import time
from collections.abc import Callable

import psycopg

from homecare.broker import BACKEND_USER
from simulators.ledger import read
from simulators.link import Credentials, Will
from simulators.uplink import Uplink
from tests.faults.stage import Stage, Verdict, keys_of

AREA, DEVICE = "990199", "fleet-000000"
BOOT = 1 << 30
"""No other message has it."""
MINE = f"care/v1/{AREA}/{DEVICE}/telemetry"

POISON: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "too_large": (MINE, lambda n: _body(n, '"values":{"heart_rate":72},"x":"' + "x" * 65_536 + '"}')[: 65_536 + 1]),
    "not_utf8": (MINE, lambda n: _body(n, '"values":{"heart_rate":72},"x":"') + b'\xff"}'),
    "not_json": (MINE, lambda n: _body(n, '"values":{"heart_rate":')),
    "bad_schema": (MINE, lambda n: _body(n, '"values":[72]}')),
    "unknown_device": (f"care/v1/{AREA}/nobody/telemetry", lambda n: _body(n, '"values":{"heart_rate":72}}')),
    "wrong_area": (f"care/v1/990198/{DEVICE}/telemetry", lambda n: _body(n, '"values":{"heart_rate":72}}')),
    "unknown_metric": (MINE, lambda n: _body(n, '"values":{"mood":3}}')),
    "not_a_number": (MINE, lambda n: _body(n, '"values":{"heart_rate":"72"}}')),
    "out_of_range": (MINE, lambda n: _body(n, '"values":{"heart_rate":900}}')),
    "unknown_subject": (MINE, lambda n: _body(n, '"subject":"R-404","values":{"heart_rate":72}}')),
    "deep": (MINE, lambda n: b"[" * 30_000 + b"%d" % n + b"]" * 30_000),
    "huge": (MINE, lambda n: _body(n, '"values":{"heart_rate":1e400,"spo2":-1e308}}')),
    "surrogate": (MINE, lambda n: _body(n, '"subject":"\\ud800","values":{"heart_rate":72}}')),
    "long_integer": (MINE, lambda n: b'{"boot":%d,"seq":%d,"ts":%b}' % (BOOT, n, b"9" * 60_000)),
}
MILLION_DIGITS = b'{"boot":%d,"seq":%d,"ts":' + b"9" * 1_000_000 + b"}"
"""Fifteen times what the contract allows; one of them."""
SHARE = 0.1


def _body(number: int, rest: str) -> bytes:
    return f'{{"boot":{BOOT},"seq":{number},"ts":null,{rest}'.encode()


async def with_poison(stage: Stage) -> Verdict:
    """The same messages with and without one in ten that is poison: as they come, and from a queue as fast as it goes."""
    runs: dict[tuple[bool, bool], tuple[Verdict, float]] = {}
    for queued in (False, True):
        for poisoned in (False, True) if stage.random.random() < 0.5 else (True, False):
            runs[queued, poisoned] = await _run(stage, poisoned=poisoned, queued=queued)
    total = Verdict(notes={"poison_untold": 0})
    for verdict, _ in runs.values():
        total.sent += verdict.sent
        total.acknowledged += verdict.acknowledged
        total.missing += verdict.missing
        total.twice += verdict.twice
        total.unknown += verdict.unknown
        total.notes["poison_untold"] += verdict.notes.get("poison_untold", 0)
    total.notes["good_throughput"] = runs[False, True][1] / runs[False, False][1]
    total.notes["good_throughput_flat_out"] = runs[True, True][1] / runs[True, False][1]
    return total


async def _run(stage: Stage, *, poisoned: bool, queued: bool) -> tuple[Verdict, float]:
    """What came of it, and how many good messages a second `ingest` committed, once in swing."""
    if stage.ingest is None:
        await stage.start_ingest()
    if queued:
        await stage.running.stop()
    stage.recorder.forget()
    before = _told(stage)
    poison = 0
    rate = stage.plan.rate * (2 if queued else 1 - SHARE)
    async with stage.fleet("", rate, stage.plan.seconds) as fleet:
        if poisoned:
            good = rate * stage.plan.seconds
            poison = await _publish(stage, int(good * SHARE / (1 - SHARE)), stage.plan.seconds)
        await fleet.ended()
    records = list(read(fleet.ledger))
    acknowledged = keys_of(records, "acknowledged")
    if queued:
        await stage.start_ingest(ready=False)
    await stage.settle(lambda: acknowledged <= stage.recorder.acknowledged.keys() and stage.recorder.outstanding == 0)
    rows = stage.stored()
    verdict = Verdict(
        sent=len(keys_of(records, "sent")),
        acknowledged=len(acknowledged),
        missing=len(acknowledged - rows.keys()),
        twice=sum(times - 1 for times in rows.values()),
        unknown=len(rows.keys() - acknowledged),
    )
    if poisoned:
        verdict.notes["poison_untold"] = max(0, poison - (_told(stage) - before))
    times = sorted(stage.recorder.acknowledged[key] for key in acknowledged & stage.recorder.acknowledged.keys())
    first, last = len(times) // 10, len(times) * 9 // 10
    return verdict, (last - first) / max(1e-6, times[last] - times[first])


async def _publish(stage: Stage, count: int, seconds: float) -> int:
    """So many, evenly; as the backend's own user, who may write on any topic. How many the broker took."""
    answered: list[int] = []
    to = Credentials("127.0.0.1", stage.broker.port, BACKEND_USER, stage.broker.users[BACKEND_USER], role="-poison")
    up = Uplink(to, Will(f"care/v1/{AREA}/nobody/status", b"{}"), answered.append)
    await up.connect()
    makers, began = list(POISON.values()), time.monotonic()
    for number in range(count):
        topic, make = makers[number % len(makers)]
        up.publish(topic.encode(), make(number + stage.boot * 1_000_000), number)
        if (ahead := began + seconds * number / count - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
    up.publish(MINE.encode(), MILLION_DIGITS % (BOOT, count + stage.boot * 1_000_000), count)
    await stage.until(lambda: len(answered) == count + 1, 30, "the broker's word on the poison")
    await up.close()
    return count + 1


def _told(stage: Stage) -> int:
    """How many deliveries are in the quarantine."""
    with psycopg.connect(stage.url) as db:
        row = db.execute("select coalesce(sum(times), 0)::int from quarantine").fetchone()
    assert row is not None
    return int(row[0])
