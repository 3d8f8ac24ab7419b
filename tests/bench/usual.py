"""The usual way: aiomqtt, json, `executemany` in batches; acknowledged on receipt, before anything is stored.

Run as `python -m tests.bench.usual PORT USER PASSWORD DATABASE_URL`; prints how many messages are committed.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime

import aiomqtt
import psycopg

from tests.bench.rival import FILTER, TABLE, Tally, create_table, device_of

MOST = 1000
EVERY_S = 0.5
INSERT = f"insert into {TABLE} (ts, device, received, heart_rate, spo2, battery) values (%s, %s, %s, %s, %s, %s)"


async def main(port: int, user: str, password: str, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as first:
        create_table(first)
    db = await psycopg.AsyncConnection.connect(url)
    tally = Tally()
    rows: list[tuple[object, ...]] = []
    writing = asyncio.Lock()

    async def write() -> None:
        async with writing:
            taken = rows[:]
            rows.clear()
            async with db.cursor() as cursor:
                await cursor.executemany(INSERT.encode(), taken)
            await db.commit()
        tally.add(len(taken))

    async def write_the_rest() -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            if rows:
                await write()
            tally.tell()

    async with (
        asyncio.TaskGroup() as group,
        aiomqtt.Client(
            "127.0.0.1",
            port,
            username=user,
            password=password,
            identifier="bench-usual",
            protocol=aiomqtt.ProtocolVersion.V311,  # of version 5 it would make much more work
        ) as client,
    ):
        await client.subscribe(FILTER, qos=1)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        group.create_task(write_the_rest(), name="rest")
        async for message in client.messages:
            body = json.loads(message.payload)
            values = body["values"]
            rows.append((
                datetime.fromtimestamp(body["ts"] / 1000, UTC),
                device_of(message.topic.value),
                datetime.now(UTC),
                values["heart_rate"],
                values["spo2"],
                values["battery"],
            ))  # fmt: skip
            if len(rows) >= MOST:
                await write()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:5]))
