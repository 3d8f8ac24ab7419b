"""From a device's button to its contact's webhook: idle, and while 20,000 messages a second of telemetry come in."""

import asyncio
import random
import time

import msgspec
import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from homecare.broker import BACKEND_USER, Broker
from tests.alerts.places import Directory
from tests.alerts.receiver import Receiver
from tests.bench.goals import Results
from tests.bench.load import publishing
from tests.bench.numbers import quantile
from tests.bench.say import Say
from tests.bench.site import AREA, SECRET_KEY, Site

IDLE, FLOOD = 200, 400
"""How many presses; each by a resident of their own, so that each opens an alert."""
RATE = 20_000
EVERY_S = (0.04, 0.08)
ARRIVES_WITHIN_S = 30.0


async def measure(site: Site, results: Results, say: Say) -> None:
    """sos_p50_ms_idle, sos_p99_ms_flood, with the real `alerts` and `ingest`."""
    directory = site.make_directory("bench_sos", devices=10_000)
    receiver = Receiver()
    await receiver.start()
    try:
        with site.database(directory) as url, site.broker() as broker:
            await _register(url, receiver, IDLE + FLOOD)
            async with site.processes(url, broker) as processes:
                await processes.start("ingest")
                await processes.start("alerts")
                idle = await _press_all(broker, receiver, range(IDLE))
                say(f"idle: {_words(idle)}")
                lasts = FLOOD * EVERY_S[1] + 10
                async with publishing(site.publisher, broker, devices=10_000, rate=RATE, seconds=lasts):
                    await asyncio.sleep(2)
                    flood = await _press_all(broker, receiver, range(IDLE, IDLE + FLOOD))
                say(f"under {RATE:,} msg/s: {_words(flood)}")
    finally:
        await receiver.close()
    results.add("sos_p50_ms_idle", quantile(idle, 0.5))
    results.add("sos_p99_ms_flood", quantile(flood, 0.99))


def _words(waits: list[float]) -> str:
    p50, p99 = quantile(waits, 0.5), quantile(waits, 0.99)
    return f"{len(waits)} presses, p50 {p50:.1f} ms, p99 {p99:.1f} ms, at most {max(waits):.1f} ms"


async def _register(url: str, receiver: Receiver, count: int) -> None:
    async with await psycopg.AsyncConnection.connect(url) as db:
        directory = Directory(db, SECRET_KEY)
        for number in range(count):
            resident = await directory.add_resident(10_000_000 + number, AREA)
            await directory.add_device(f"sos-{number}", AREA, wearer=resident)
            await directory.add_contact(f"C-{number}", f"{receiver.url}/{number}", resident=resident)


async def _press_all(broker: Broker, receiver: Receiver, devices: range) -> list[float]:
    """Press every device's button, one after another; milliseconds from each publish to the webhook's arrival."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, f"bench-buttons-{devices.start}")
    client.username_pw_set(BACKEND_USER, broker.users[BACKEND_USER])
    client.connect("127.0.0.1", broker.port)
    connected, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_connect(*_: object) -> None:
        loop.call_soon_threadsafe(connected.set)

    client.on_connect = on_connect
    client.loop_start()
    await connected.wait()
    before = len(receiver.posts)
    pressed: dict[str, float] = {}
    try:
        for number in devices:
            name = f"sos-{number}"
            body = msgspec.json.encode({"boot": 1, "seq": 1, "ts": int(time.time() * 1000), "event": "sos"})
            pressed[name] = time.monotonic()
            client.publish(f"care/v1/{AREA}/{name}/event", body, qos=1)
            await asyncio.sleep(random.uniform(*EVERY_S))
        arrived: dict[str, float] = {}
        async with asyncio.timeout(ARRIVES_WITHIN_S):
            while len(arrived) < len(pressed):
                for post in receiver.posts[before:]:
                    said = msgspec.json.decode(post.body)
                    if said["type"] == "alert.opened":
                        arrived.setdefault(said["data"]["device"], post.at)
                await asyncio.sleep(0.1)
    finally:
        client.disconnect()
        client.loop_stop()
    return [(arrived[name] - at) * 1000 for name, at in pressed.items()]
