"""The shared words: metrics as the contract lists them, samples as columns, times that do not drift."""

from datetime import UTC, datetime

import numpy as np

from homecare.clock import to_datetime, to_ms, to_rfc3339
from homecare.devices import RegisteredDevice, Wearing
from homecare.metrics import BY_NAME, INDEX, METRICS
from homecare.samples import NO_TIME, Samples


def test_the_metrics_are_those_of_the_contract() -> None:
    assert len(METRICS) == 15
    assert (BY_NAME["spo2"].low, BY_NAME["spo2"].high, BY_NAME["spo2"].loinc) == (40, 100, "59408-5")
    assert METRICS[INDEX["glucose"]].unit == "mmol/L"


def test_times_keep_their_milliseconds() -> None:
    ms = 1_795_289_357_123
    assert to_ms(to_datetime(ms)) == ms
    assert to_rfc3339(to_datetime(ms)) == "2026-11-21T19:29:17.123Z"
    assert to_datetime(0) == datetime(1970, 1, 1, tzinfo=UTC)


def test_samples_begin_empty_and_can_be_cut_and_joined() -> None:
    samples = Samples.empty(3)
    assert len(samples) == 3
    assert np.isnan(samples.values).all()
    assert (samples.claimed == NO_TIME).all()
    samples.seq[:] = [7, 8, 9]
    assert Samples.concatenate([samples.take([2]), samples.take(slice(0, 2))]).seq.tolist() == [9, 7, 8]


def test_who_wore_a_device_depends_on_when() -> None:
    device = RegisteredDevice(1, "h-1", "111", "handset", 60, (Wearing(5, 1000, 2000), Wearing(6, 3000)))
    assert [device.worn_by(at) for at in (999, 1000, 1999, 2000, 3000, 9999)] == [None, 5, 5, None, 6, 6]
