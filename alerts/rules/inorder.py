"""Samples in the order they were measured in, for those who can wait: a backtest, not an alarm."""

import numpy as np

from homecare.samples import Samples

EARLIEST = np.iinfo(np.int64).min


class InOrder:
    """Holds samples back until nothing that still counts can come before them.

    The rules then say the same in whatever order, within the lateness, the samples came. Sweep for silence at
    `latest - lateness_ms - engine.AHEAD_MS`: all that was received before has been let through by then.
    """

    def __init__(self, lateness_ms: int) -> None:
        self._lateness = lateness_ms
        self._held = Samples.empty(0)
        self._new: list[Samples] = []
        self._waiting = 0
        self._received = EARLIEST
        self.latest = EARLIEST
        """All that was measured `lateness_ms` before this (Unix ms) has been let through."""

    def put(self, samples: Samples) -> Samples:
        """Take in a batch in order of arrival; returns those that are settled.

        What is held is looked through once as much again has come, so that a row is moved a few times and not with
        every batch.
        """
        if len(samples):
            self._received = max(self._received, int(samples.received.max()))
            self._new.append(samples)
            self._waiting += len(samples)
        if self._waiting <= len(self._held) // 2:
            return Samples.empty(0)
        self.latest = self._received
        held = self._all()
        settled = held.ts < self.latest - self._lateness
        self._held = held.take(~settled)
        return _sorted(held.take(settled))

    def rest(self) -> Samples:
        """All that is still held: no more will come."""
        rest, self._held = self._all(), Samples.empty(0)
        return _sorted(rest)

    def _all(self) -> Samples:
        parts, self._new, self._waiting = [self._held, *self._new], [], 0
        return Samples.concatenate(parts)


def _sorted(samples: Samples) -> Samples:
    return samples.take(np.lexsort((samples.part, samples.seq, samples.boot, samples.device, samples.ts)))
