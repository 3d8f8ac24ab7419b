"""The limit to come close to: MQTT -> decode -> binary COPY -> commit -> PUBACK, and nothing else.

No checks, no rules, no registry, no reconnection: what a real pipeline adds is its cost. Run as
`python -m tests.bench.limit PORT USER PASSWORD DATABASE_URL`; prints how many messages it has acknowledged.
"""

import asyncio
import sys
import time

import mqtt5
import psycopg

from tests.bench.rival import FILTER, Row, Tally, copy_rows, create_table, row_of

PAUSE_S = 0.01
"""Between two looks into the inbox, so that a batch is worth its commit."""


class Session(asyncio.Protocol):
    """One connection; messages wait in `inbox` with their packet ids."""

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user, password
        self.inbox: list[tuple[int, str, bytes, int]] = []
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        packet = mqtt5.ConnectPacket(
            client_id="bench-limit", username=self._user, password=self._password.encode(), receive_max=65535
        )
        transport.write(packet.write())

    def data_received(self, data: bytes) -> None:
        whole = self._rest + data if self._rest else data
        view, at, received = memoryview(whole), 0, int(time.time() * 1000)
        while at < len(view):
            try:
                packet, size = mqtt5.read(view[at:])
            except IndexError:
                break
            at += size
            if isinstance(packet, mqtt5.PublishPacket):
                assert packet.packet_id is not None
                self.inbox.append((packet.packet_id, packet.topic, packet.payload, received))
            elif isinstance(packet, mqtt5.ConnAckPacket):
                asked = [mqtt5.TopicFilter(FILTER, max_qos=mqtt5.QoS.AT_LEAST_ONCE)]
                self.transport.write(mqtt5.SubscribePacket(1, asked).write())
            elif isinstance(packet, mqtt5.SubAckPacket):
                sys.stdout.write("ready\n")
                sys.stdout.flush()
        self._rest = whole[at:]


async def main(port: int, user: str, password: str, url: str) -> None:
    loop = asyncio.get_running_loop()
    db = psycopg.connect(url, autocommit=True)
    create_table(db)
    _, session = await loop.create_connection(lambda: Session(user, password), "127.0.0.1", port)
    tally = Tally()
    while True:
        await asyncio.sleep(PAUSE_S)
        taken, session.inbox = session.inbox, []
        if not taken:
            tally.tell()
            continue
        rows: list[Row] = [row_of(topic, payload, received) for _, topic, payload, received in taken]
        await loop.run_in_executor(None, copy_rows, db, rows)
        session.transport.write(b"".join(mqtt5.PubAckPacket(id_).write() for id_, _, _, _ in taken))
        tally.add(len(taken))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:5]))
