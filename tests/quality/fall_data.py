"""The trials of falls and of daily life that the fall rule is made with and measured on, and the peaks in them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from alerts.rules.fall_features import features
from alerts.rules.fall_trace import AFTER, BIN_MS, STANDARD_GRAVITY, Peaks, Traces, filled, pieces, strip
from tests.quality import data

SCALE_G = 1 / 2000
"""Of the int16 that trials are turned into to be read like a device's windows; 16 g and more become a glitch's."""
NEVER_LATE = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Trial:
    """One recording. `value` (n, 3) in g at `hz`; `fall_s` from when to when they fell, where it is told."""

    name: str
    subject: int
    fall: bool
    hz: float
    value: npt.NDArray[np.float64]
    fall_s: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Impacts:
    """n peaks of trials: features, which trial, seconds from its start."""

    features: npt.NDArray[np.float32]
    trial: npt.NDArray[np.int64]
    at: npt.NDArray[np.float64]


def weda() -> list[Trial]:
    """WEDA-FALL at the wrist, 50 Hz. Raises DataMissing."""
    return list(_read("weda_fall", 0.1 / STANDARD_GRAVITY))


def umafall() -> list[Trial]:
    """UMAFall at the wrist, about 20 Hz. Raises DataMissing."""
    return list(_read("umafall_wrist", 0.001))


def _read(name: str, scale: float) -> Iterator[Trial]:
    folder = data(name)
    xyz = np.load(folder / "accel.npz")["xyz"]
    for entry in json.loads((folder / "trials.json").read_text("utf-8")):
        value = xyz[entry["offset"] : entry["offset"] + entry["n"]] * scale
        fall_s = tuple(entry["fall_s"]) if entry.get("fall_s") else None
        yield Trial(entry["trial"], entry["subject"], entry["fall"], entry.get("hz", 50.0), value, fall_s)


def at_rate(trial: Trial, hz: float, phase: float) -> Trial:
    """As a slower sensor would have sampled it, from `phase` (a share of its period) on: no sample is made up."""
    at = np.arange(phase / hz, (len(trial.value) - 1) / trial.hz, 1 / hz)
    return replace(trial, hz=hz, value=trial.value[np.round(at * trial.hz).astype(np.int64)])


def impacts(trials: Sequence[Trial]) -> Impacts:
    """All peaks of the trials, by the rule's own code."""
    counts = [np.clip(np.rint(trial.value / SCALE_G), -32768, 32767).astype("<i2").tobytes() for trial in trials]
    samples = strip(
        counts, np.zeros(len(trials)), np.array([trial.hz for trial in trials]), np.full(len(trials), SCALE_G)
    )
    traces = Traces()
    traces.state.make_room(len(trials))
    found: list[Peaks] = []
    for slots, starts, ends in pieces(samples, np.arange(len(trials))):
        rows = traces.state.give(slots)
        traces.put(rows, starts, ends, samples)
        found.append(traces.peaks(rows, traces.state["newest"][rows] - AFTER, np.zeros(len(rows), np.int64)))
    rows = np.arange(1, traces.state.used)
    found.append(traces.peaks(rows, traces.state["newest"][rows], np.full(len(rows), NEVER_LATE)))
    values = np.concatenate([features(filled(peaks.around))[1] for peaks in found])
    trial = np.concatenate([traces.state.slot(peaks.row) for peaks in found])
    return Impacts(values, trial, np.concatenate([peaks.bin for peaks in found]) * (BIN_MS / 1000))
