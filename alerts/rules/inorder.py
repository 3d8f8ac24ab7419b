"""Samples in the order they were measured in, for those who can wait: a backtest, not an alarm."""

import numpy as np

from homecare.samples import Samples

EARLIEST = np.iinfo(np.int64).min


class InOrder:
    """Holds samples back until nothing that still counts can come before them.

    The rules then say the same in whatever order, within the lateness, the samples came. Sweep for silence at
    `latest received - lateness_ms - engine.AHEAD_MS`: all that was received before has been let through by then.
    """

    def __init__(self, lateness_ms: int) -> None:
        self._lateness = lateness_ms
        self._held = Samples.empty(0)
        self._latest = EARLIEST

    def put(self, samples: Samples) -> Samples:
        """Take in a batch in order of arrival; returns those that are settled."""
        if len(samples):
            self._latest = max(self._latest, int(samples.received.max()))
        held = Samples.concatenate([self._held, samples])
        settled = held.ts < self._latest - self._lateness
        self._held = held.take(~settled)
        return _sorted(held.take(settled))

    def rest(self) -> Samples:
        """All that is still held: no more will come."""
        rest, self._held = self._held, Samples.empty(0)
        return _sorted(rest)


def _sorted(samples: Samples) -> Samples:
    return samples.take(np.lexsort((samples.part, samples.seq, samples.boot, samples.device, samples.ts)))
