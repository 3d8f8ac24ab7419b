"""When a device counts as silent."""

import numpy as np
import pytest

from alerts.rules.engine import Engine
from alerts.rules.pack import load_pack
from homecare.devices import RegisteredDevice, Wearing
from homecare.triggers import Trigger
from tests.alerts.rules.scalar import Sample, to_samples

T = 1_800_000_000_000
SECOND, MINUTE = 1_000, 60_000


def device(interval_s: float = 60, *, worn: bool = True, revoked: bool = False, since: int = T) -> RegisteredDevice:
    wearings = (Wearing(7, since),) if worn else ()
    return RegisteredDevice(1, "d-1", "520201", "handset", interval_s, wearings, revoked)


def engine(*devices: RegisteredDevice) -> Engine:
    made = Engine(load_pack())
    made.register(devices)
    return made


def data(at: int, seq: int = 0, device: int = 1) -> Sample:
    return Sample(at, {"steps": 3}, at, device=device, seq=seq)


def brief(triggers: list[Trigger]) -> list[tuple[str, int, int]]:
    return [(t.state, t.at - T, t.resident) for t in triggers]


def test_silent_after_three_intervals_whenever_the_sweep_comes() -> None:
    for sweep in (180_001, 200_000, 3_600_000):
        rules = engine(device())
        rules.apply(to_samples([data(T + 5)]))
        assert rules.sweep(T + 5 + 180_000) == []
        assert brief(rules.sweep(T + 5 + sweep)) == [("raised", 180_005, 7)]
        assert rules.sweep(T + 5 + sweep + 1) == []


def test_the_sentence_says_for_how_long_and_what_is_normal() -> None:
    (trigger,) = engine(device(300)).sweep(T + 900_001)
    assert trigger.zh == "设备已 15 分钟没有数据（正常间隔 5 分钟）"
    assert trigger.en == "No data from the device for 15 min (it normally reports every 5 min)"
    assert trigger.evidence == {
        "counted_from": T,
        "interval_ms": 300_000,
        "allowed_ms": 900_000,
        "silent_at": T + 900_000,
    }
    assert (trigger.rule, trigger.kind, trigger.severity, trigger.version) == ("silence", "silence", "warning", 1)


def test_data_ends_it_about_the_same_person_and_it_can_begin_again() -> None:
    rules = engine(device())
    rules.sweep(T + 3 * MINUTE + 1)
    assert brief(rules.apply(to_samples([data(T + 4 * MINUTE), data(T + 5 * MINUTE, 1)]))) == [
        ("cleared", 4 * MINUTE, 7)
    ]
    assert brief(rules.sweep(T + 9 * MINUTE)) == [("raised", 8 * MINUTE, 7)]


def test_a_late_sample_is_a_sign_of_life() -> None:
    rules = engine(device())
    rules.apply(to_samples([Sample(T + 2 * MINUTE, {"heart_rate": 200}, T - 60 * MINUTE)]))
    assert rules.sweep(T + 3 * MINUTE + 1) == []


def test_short_intervals_have_a_floor() -> None:
    rules = engine(device(1))
    assert rules.sweep(T + 60_000) == []
    assert brief(rules.sweep(T + 60_001)) == [("raised", 60_000, 7)]


@pytest.mark.parametrize("registered", [device(worn=False), device(revoked=True)])
def test_not_watched_while_in_its_box_or_revoked(registered: RegisteredDevice) -> None:
    assert engine(registered).sweep(T + 10**9) == []


def test_not_registered_is_not_watched() -> None:
    rules = engine()
    rules.apply(to_samples([data(T)]))
    assert rules.sweep(T + 10**9) == []


def test_a_kiosk_that_was_heard_is_watched() -> None:
    rules = engine(RegisteredDevice(1, "k-1", "520201", "kiosk", 3600))
    assert rules.sweep(T + 10**9) == []
    rules.apply(to_samples([Sample(T, {"systolic": 120}, T, resident=8, subject=True)]))
    assert brief(rules.sweep(T + 10_800_001)) == [("raised", 10_800_000, 0)]


def test_revocation_and_a_new_interval_take_effect_at_once() -> None:
    rules = engine(device())
    rules.apply(to_samples([data(T)]))
    rules.register([device(600)])
    assert rules.sweep(T + 4 * MINUTE) == []
    rules.register([device(600, revoked=True)])
    assert rules.sweep(T + 10**9) == []


def test_revoked_while_silent_its_silence_is_over() -> None:
    rules = engine(device())
    (raised,) = rules.sweep(T + 4 * MINUTE)
    rules.register([device(revoked=True)])
    (cleared,) = rules.sweep(T + 5 * MINUTE)
    assert brief([cleared]) == [("cleared", 5 * MINUTE, 7)]
    assert cleared.evidence["silent_at"] == raised.at
    assert rules.sweep(T + 6 * MINUTE) == []


def test_revoked_while_nobody_looked_its_silence_is_over_after_the_restart() -> None:
    triggers = engine(device()).sweep(T + 4 * MINUTE)
    rules = engine(device(revoked=True))
    rules.recall(triggers)
    assert brief(rules.sweep(T + 9 * MINUTE)) == [("cleared", 9 * MINUTE, 7)]


def test_put_on_anew_it_owes_its_new_wearer_data() -> None:
    rules = engine(device())
    assert len(rules.sweep(T + 4 * MINUTE)) == 1
    worn_again = RegisteredDevice(
        1, "d-1", "520201", "handset", 60, (Wearing(7, T, T + 10 * MINUTE), Wearing(8, T + 10 * MINUTE))
    )
    rules.register([worn_again])
    assert brief(rules.sweep(T + 13 * MINUTE)) == [("cleared", 10 * MINUTE, 7)]
    assert brief(rules.sweep(T + 13 * MINUTE + 1)) == [("raised", 13 * MINUTE, 8)]


def test_nobody_is_silent_while_nobody_could_be_heard() -> None:
    rules = engine(device())
    rules.heard(np.array([1], np.int32), np.array([T]))
    rules.listen(T + 60 * MINUTE)
    assert rules.sweep(T + 63 * MINUTE) == []
    assert brief(rules.sweep(T + 63 * MINUTE + 1)) == [("raised", 3 * MINUTE, 7)]


def test_after_a_restart_a_known_silence_is_not_said_again_and_still_ends() -> None:
    before = engine(device())
    before.apply(to_samples([data(T)]))
    triggers = before.sweep(T + 4 * MINUTE)
    rules = engine(device())
    rules.recall(triggers)
    rules.heard(np.array([1], np.int32), np.array([T]))
    rules.restore(to_samples([data(T)]))
    assert rules.sweep(T + 5 * MINUTE) == []
    assert brief(rules.apply(to_samples([data(T + 6 * MINUTE, 1)]))) == [("cleared", 6 * MINUTE, 7)]


def test_after_a_restart_the_silence_of_the_last_wearer_is_not_the_new_ones() -> None:
    triggers = engine(device()).sweep(T + 4 * MINUTE)
    rules = engine(device(since=T + 10 * MINUTE))
    rules.recall(triggers)
    assert brief(rules.sweep(T + 13 * MINUTE + 1)) == [("cleared", 10 * MINUTE, 7), ("raised", 13 * MINUTE, 7)]
