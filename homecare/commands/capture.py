"""`homecare capture`: what devices send, as JSON lines, taken beside the backend and never in its place."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from gateway.session import Session
from homecare.commands.directory import setting
from homecare.errors import HomecareError
from homecare.logs import configure_logs
from homecare.tasks import run
from simulators.capture import captured, encode, recording

DEVICES = (*(f"care/v1/+/+/{leaf}" for leaf in ("telemetry/#", "event", "status", "reply")), "traccar/#")
"""What devices send: played again, nothing of it tells a device that the backend has answered it."""
RECEIVE_MAXIMUM = 5_000
PROGRESS_EVERY_S = 0.5


def command(output: str = "", topics: Sequence[str] = (), count: int = 0, seconds: float = 0) -> int:
    """Until `count` messages or `seconds` (0: neither), SIGTERM, Ctrl-C, or nobody reads the output any more."""
    configure_logs("console", "warning", "capture")
    # A client id and a session of its own, which ends with the connection: the backend's goes on undisturbed.
    session = Session(
        setting("HOMECARE_MQTT_URL"),
        client_id=f"homecare-capture-{uuid4().hex[:12]}",
        filters=topics or DEVICES,
        receive_maximum=RECEIVE_MAXIMUM,
        ca_file=os.environ.get("HOMECARE_MQTT_CA_FILE", ""),
        session_expiry_s=0,
    )

    async def main(stop: asyncio.Event) -> None:
        with recording(Path(output) if output else None) as file:
            taking = Taking(file, count)
            await session.connect()
            print("capturing", file=sys.stderr, flush=True)
            coroutines = {"session": session.run(), "take": taking.run(session), "stop": stop.wait()}
            tasks = {asyncio.create_task(work, name=name) for name, work in coroutines.items()}
            try:
                done, _ = await asyncio.wait(tasks, timeout=seconds or None, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                await session.close()
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
        print(f"{taking.count} messages", file=sys.stderr, flush=True)

    try:
        return run(main)
    except BrokenPipeError:
        # Nobody reads any more, as after `| head`; the interpreter must not try to flush at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        raise HomecareError(f"{output or 'standard output'}: {error.strerror}") from None


@dataclass(slots=True)
class Taking:
    """Writes messages to `file`, at most `most` (0: all that come)."""

    file: BinaryIO
    most: int
    count: int = 0
    _shown: float = 0.0

    async def run(self, session: Session) -> None:
        """Returns when there are enough."""
        async for batch in session.batches():
            # What the broker kept for whoever subscribes was sent at some other time.
            lines = [captured(m.received, m.topic, m.payload) for m in batch.messages if not m.retained]
            if self.most:
                lines = lines[: self.most - self.count]
            self.file.writelines(map(encode, lines))
            self.file.flush()
            batch.acknowledge()
            self.count += len(lines)
            self._show()
            if self.most and self.count >= self.most:
                return

    def _show(self) -> None:
        if time.monotonic() - self._shown > PROGRESS_EVERY_S and sys.stderr.isatty():
            self._shown = time.monotonic()
            print(f"\r{self.count} messages", end="", file=sys.stderr, flush=True)
