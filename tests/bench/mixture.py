"""A county's devices and what they send, drawn alike in every run: columns for the rules, lines for a capture.

Of 20 devices 13 are handsets (pulse, steps, battery; every fifth minute oxygen saturation, every third sample with a
position), 5 are home sensors (activity, presence, room temperature), one is a fall sensor (activity, battery) and one is
a kiosk (blood pressure, pulse, oxygen saturation, temperature of one of 50 people each). Everybody sends once a minute.
About one reading in 500 is beyond a limit, one sample in 200 comes up to two minutes late and one in 500 comes twice.
"""

import math
from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from homecare.devices import DeviceKind, RegisteredDevice, Wearing
from homecare.metrics import INDEX, METRICS
from homecare.residents import Profile
from homecare.samples import Flag, Samples

START = 1_795_219_200_000
"""2026-11-21 00:00 UTC."""
MINUTE_MS = 60_000
AREA_SIZE = 250
"""Devices of one village."""
KIOSK_PEOPLE = 50
LATE, TWICE = 1 / 200, 1 / 500
_KINDS = np.array([0] * 13 + [1] * 5 + [2, 3])
"""By device key modulo 20: handset, home sensor, fall sensor, kiosk."""
_NAMES: tuple[DeviceKind, ...] = ("handset", "home_sensor", "fall_sensor", "kiosk")
_MEASURED = {
    "heart_rate": ((0, 3), 74.0, 9.0),
    "spo2": ((0, 3), 97.0, 1.1),
    "steps": ((0,), 14.0, 20.0),
    "battery": ((0, 2), 70.0, 15.0),
    "activity": ((1, 2), 60.0, 50.0),
    "presence": ((1,), 0.8, 0.3),
    "room_temperature": ((1,), 20.0, 2.0),
    "systolic": ((3,), 132.0, 10.5),
    "diastolic": ((3,), 78.0, 8.0),
    "temperature": ((3,), 36.6, 0.3),
}
"""Metric -> (kinds of device, mean, spread)."""


def devices(count: int, first: int = 1) -> list[RegisteredDevice]:
    """`count` devices with keys from `first`, each worn by the resident of the same key, a kiosk by nobody."""
    result = []
    for key in range(first, first + count):
        kind = _NAMES[_KINDS[key % 20]]
        worn = () if kind == "kiosk" else (Wearing(key, 0),)
        result.append(RegisteredDevice(key, f"D-{key:07}", area_of(key), kind, 60.0, worn))
    return result


def profiles(count: int, first: int = 1) -> list[Profile]:
    """The residents who wear them, at home where their handsets are."""
    return [
        Profile(key, f"R-{key:07}", area_of(key), lat=26.0 + key % 1000 / 1000, lon=104.8)
        for key in range(first, first + count)
    ]


def area_of(key: int) -> str:
    """The village of the device."""
    return f"V{key // AREA_SIZE:05}"


def batches(count: int, rows: int, batches: int, start: int = START, seed: int = 1) -> Iterator[Samples]:
    """`batches` of `rows` samples of `count` devices in turn, each sending once a minute from `start` on."""
    random = np.random.default_rng(seed)
    rate = count / MINUTE_MS  # samples in a millisecond
    turn = random.permutation(count)
    for number in range(batches):
        n = np.arange(number * rows, (number + 1) * rows)
        yield _batch(random, (turn[n % count] + 1).astype(np.int32), start + (n / rate).astype(np.int64), n // count)


def _batch(
    random: np.random.Generator, key: npt.NDArray[np.int32], received: npt.NDArray[np.int64], seq: npt.NDArray[np.int64]
) -> Samples:
    samples = Samples.empty(len(key))
    kind = _KINDS[key % 20]
    kiosk = kind == 3
    samples.device, samples.received = key, received
    person = 10_000_000 + key.astype(np.int64) * KIOSK_PEOPLE + random.integers(0, KIOSK_PEOPLE, len(key))
    samples.resident = np.where(kiosk, person, key).astype(np.int32)
    samples.flags = np.where(kiosk, int(Flag.SUBJECT), 0).astype(np.int16)
    samples.boot[:], samples.seq = 1, seq.astype(np.int32)
    late = random.random(len(key)) < LATE
    samples.ts = received - 300 - np.where(late, random.integers(0, 2 * MINUTE_MS, len(key)), 0)
    for metric, (kinds, mean, spread) in _MEASURED.items():
        low, high = METRICS[INDEX[metric]].low, METRICS[INDEX[metric]].high
        # People differ from one another more than anybody does from one minute to the next.
        usual = _usual(samples.resident, INDEX[metric])
        value = mean + spread * (0.85 * usual + 0.5 * random.standard_normal(len(key), np.float32))
        value = np.round(value, "temperature" in metric)
        samples.values[:, INDEX[metric]] = np.where(np.isin(kind, kinds), np.clip(value, low, high), np.nan)
    samples.values[(seq % 5 != 0) & ~kiosk, INDEX["spo2"]] = np.nan
    placed = (kind == 0) & (seq % 3 == 0)
    drift = random.normal(0, 0.0001, (2, len(key)))
    samples.lat = np.where(placed, 26.0 + key % 1000 / 1000 + drift[0], np.nan)
    samples.lon = np.where(placed, 104.8 + drift[1], np.nan)
    samples.accuracy = np.where(placed, 12.0, np.nan).astype(np.float32)
    samples.fix = np.where(placed, 3, -1).astype(np.int8)
    again = random.random(len(key)) < TWICE
    return samples.take(np.sort(np.concatenate([np.arange(len(key)), np.flatnonzero(again)]))[: len(key)])


def _usual(residents: npt.NDArray[np.int32], metric: int) -> npt.NDArray[np.float64]:
    """What is usual for each of them, in standard deviations of all: a normal number made of the person and the metric."""
    mixed = (residents.astype(np.uint64) * np.uint64(16) + np.uint64(metric)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(31)
    shifts = np.arange(0, 48, 12, dtype=np.uint64)
    parts = (mixed[:, None] >> shifts & np.uint64(0xFFF)).astype(np.float64) / 4096
    normal: npt.NDArray[np.float64] = (parts.sum(axis=1) - 2) * math.sqrt(3)
    return normal


def lines(samples: Samples) -> Iterator[bytes]:
    """A capture's lines: a message each, as the devices would have sent them."""
    names = [metric.name for metric in METRICS]
    for row in range(len(samples)):
        key, values = int(samples.device[row]), samples.values[row]
        payload: dict[str, object] = {
            "boot": int(samples.boot[row]),
            "seq": int(samples.seq[row]),
            "ts": int(samples.ts[row]),
            "values": {names[column]: round(float(values[column]), 1) for column in np.flatnonzero(~np.isnan(values))},
        }
        if samples.flags[row] & Flag.SUBJECT:
            payload["subject"] = f"R-{samples.resident[row]}"
        if not np.isnan(samples.lat[row]):
            lat, lon = round(float(samples.lat[row]), 6), round(float(samples.lon[row]), 6)
            payload["position"] = {"lat": lat, "lon": lon, "accuracy": 12, "fix": "gnss"}
        topic = f"care/v1/{area_of(key)}/D-{key:07}/telemetry"
        yield msgspec.json.encode({"at": int(samples.received[row]), "topic": topic, "payload": payload}) + b"\n"
