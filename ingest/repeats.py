"""Messages that come again with another time: those whose clock is wrong are stored at their time of receipt.

The index on (device, ts, boot, seq, part) cannot know them, so the table `wrong_clock_message` does. Only devices that
ever had a wrong clock are looked up in it: a message first stored so may come again when its `ts` is no longer ahead.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from psycopg import AsyncConnection

from homecare.checked import Checked
from homecare.clock import to_datetime
from homecare.database import load_queries
from homecare.samples import Flag
from ingest.connection import LiveConnection

QUERIES = load_queries("ingest")

Message = tuple[int, int, int]
"""(device key, boot, seq): names a message for ever."""
Delivery = tuple[int, int, int, int]
"""(device key, boot, seq, received): one arrival of it."""


def wrong_clock_messages(checked: Checked) -> dict[Message, int]:
    """The messages with a sample or window stored at its time of receipt -> that time."""
    samples = checked.samples
    rows = np.flatnonzero(samples.flags & Flag.WRONG_CLOCK)
    columns = (samples.device[rows], samples.boot[rows], samples.seq[rows], samples.received[rows])
    found: dict[Message, int] = {}
    for device, boot, seq, received in zip(*(column.tolist() for column in columns), strict=True):
        found.setdefault((device, boot, seq), received)
    for window in checked.windows:
        if window.flags & Flag.WRONG_CLOCK:
            found.setdefault((window.device_key, window.boot, window.seq), window.received)
    return found


def without(checked: Checked, repeats: frozenset[Delivery]) -> Checked:
    """`checked` without the samples and windows of these deliveries."""
    if not repeats:
        return checked
    samples = checked.samples
    columns = (samples.device, samples.boot, samples.seq, samples.received)
    deliveries = zip(*(column.tolist() for column in columns), strict=True)
    kept = np.fromiter((delivery not in repeats for delivery in deliveries), np.bool_, len(samples))
    windows = [w for w in checked.windows if (w.device_key, w.boot, w.seq, w.received) not in repeats]
    return replace(checked, samples=samples.take(kept), windows=windows)


class WrongClocks:
    """Which deliveries of a batch are repeats that the samples' own index would not recognise."""

    def __init__(self) -> None:
        self._suspect: npt.NDArray[np.bool_] = np.zeros(1024, np.bool_)  # by device key
        self._in_hand: set[Message] = set()

    async def load(self, db: AsyncConnection) -> None:
        """Read which devices ever had a wrong clock."""
        rows = await (await db.execute(QUERIES["wrong_clock_devices"])).fetchall()
        self._suspects(key for (key,) in rows)

    async def repeats(self, reader: LiveConnection, checked: Checked) -> frozenset[Delivery]:
        """The deliveries in `checked` of messages that came before: stored, in the hands of the writer, or earlier in here.

        Costs nothing where no device of the batch ever had a wrong clock. What is new is in hand from now on, until `done`.
        """
        wrong = wrong_clock_messages(checked)
        self._suspects(device for device, _, _ in wrong)
        deliveries = self._suspect_deliveries(checked)
        if not deliveries:
            return frozenset()
        before = self._in_hand | await _stored(await reader.get(), deliveries)
        repeats = set()
        first: dict[Message, int] = {}
        for delivery in deliveries:
            device, boot, seq, received = delivery
            message = device, boot, seq
            if message in before or (message in wrong and first.setdefault(message, received) != received):
                repeats.add(delivery)
        self._in_hand |= wrong.keys() - before
        return frozenset(repeats)

    def done(self, checked: Checked) -> None:
        """`checked` is stored, or never will be."""
        if self._in_hand:
            self._in_hand -= wrong_clock_messages(checked).keys()

    def forget(self) -> None:
        """Nothing is in hand."""
        self._in_hand.clear()

    def _suspects(self, keys: Iterable[int]) -> None:
        for key in keys:
            if key >= len(self._suspect):
                self._suspect = np.concatenate([self._suspect, np.zeros(max(key, len(self._suspect)), np.bool_)])
            self._suspect[key] = True

    def _suspect_deliveries(self, checked: Checked) -> list[Delivery]:
        """Deliveries of devices that ever had a wrong clock, once each, in order of arrival."""
        samples = checked.samples
        rows = np.flatnonzero(self._suspect[np.minimum(samples.device, len(self._suspect) - 1)])
        columns = (samples.device[rows], samples.boot[rows], samples.seq[rows], samples.received[rows])
        found = dict.fromkeys(zip(*(column.tolist() for column in columns), strict=True))
        for window in checked.windows:
            if window.device_key < len(self._suspect) and self._suspect[window.device_key]:
                found[window.device_key, window.boot, window.seq, window.received] = None
        return list(found)


async def _stored(db: AsyncConnection, deliveries: list[Delivery]) -> set[Message]:
    device, boot, seq, _ = zip(*deliveries, strict=True)
    columns = {"device": list(device), "boot": list(boot), "seq": list(seq)}
    return {tuple(row) for row in await (await db.execute(QUERIES["known_wrong_clock_messages"], columns)).fetchall()}


async def remember(db: AsyncConnection, checked: Checked) -> None:
    """Note the messages stored at their time of receipt, in the caller's transaction."""
    found = wrong_clock_messages(checked)
    if not found:
        return
    device, boot, seq = zip(*found, strict=True)
    columns = {"device": list(device), "boot": list(boot), "seq": list(seq)}
    received = [to_datetime(ms) for ms in found.values()]
    await db.execute(QUERIES["add_wrong_clock_messages"], columns | {"received": received})
