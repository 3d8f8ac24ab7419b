"""The same as the limit with another client: paho with manual acknowledgement, msgspec, binary COPY, ack after commit.

Run as `python -m tests.bench.paho_pipeline PORT USER PASSWORD DATABASE_URL`; prints how many it has acknowledged.
"""

import sys
import time
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.bench.rival import FILTER, Tally, copy_rows, create_table, row_of

PAUSE_S = 0.01


def main(port: int, user: str, password: str, url: str) -> None:
    db = psycopg.connect(url, autocommit=True)
    create_table(db)
    inbox: list[tuple[mqtt.MQTTMessage, int]] = []
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        "bench-paho",
        protocol=MQTTProtocolVersion.MQTTv311,  # of version 5 it would make much more work
        manual_ack=True,
    )
    client.username_pw_set(user, password)

    def connected(*_: Any) -> None:
        client.subscribe(FILTER, qos=1)

    def subscribed(*_: Any) -> None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

    def came(_: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        inbox.append((message, int(time.time() * 1000)))

    client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, came
    client.connect("127.0.0.1", port)
    client.loop_start()
    tally = Tally()
    while True:
        time.sleep(PAUSE_S)
        taken = inbox[:]
        if not taken:
            tally.tell()
            continue
        del inbox[: len(taken)]
        copy_rows(db, [row_of(message.topic, bytes(message.payload), received) for message, received in taken])
        for message, _ in taken:
            client.ack(message.mid, message.qos)
        tally.add(len(taken))


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:5])
