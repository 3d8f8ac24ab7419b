"""When silent devices of an area are one outage."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.rules import silence as silence_module
from alerts.rules.pack import load_pack
from alerts.rules.silence import Silence
from alerts.rules.silence_rule import OutageBand, SilenceRule
from homecare.devices import RegisteredDevice, Wearing
from homecare.triggers import Trigger
from tests.alerts.rules.scalar_silence import Deaf, Gone, Heard, Look, Said, Step, silence_said

Draw = Callable[..., Any]
PACK = load_pack()
T = 1_800_000_000_000
SECOND, MINUTE = 1_000, 60_000
SETTINGS = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def rule(**changes: object) -> SilenceRule:
    """The pack's, with outages of three and of five devices."""
    silence = PACK.silence
    assert silence is not None
    assert silence.together is not None
    bands = (OutageBand(devices=3, severity="warning"), OutageBand(devices=5, severity="urgent"))
    together = msgspec.structs.replace(silence.together, bands=bands, **changes)
    return msgspec.structs.replace(silence, together=together)


def device(key: int, area: str = "520201", interval_s: float = 60, *, revoked: bool = False) -> RegisteredDevice:
    return RegisteredDevice(key, f"d-{key}", area, "handset", interval_s, (Wearing(100 + key, T),), revoked)


class Village:
    """A `Silence` and its devices, in slots by their key."""

    def __init__(self, body: SilenceRule, devices: list[RegisteredDevice]) -> None:
        self.silence, self.devices = Silence(body), {one.key: one for one in devices}
        self.silence.make_room(64)
        self.register(*devices)
        self.keys = np.arange(64, dtype=np.int64) << 32

    def register(self, *devices: RegisteredDevice) -> None:
        self.silence.register(np.array([one.key for one in devices], np.int64), devices)

    def hear(self, *devices: int, at: int) -> list[Trigger]:
        keys = np.array(devices, np.int64)
        return self.silence.heard(keys, keys.astype(np.int32), np.full(len(keys), at, np.int64))

    def look(self, at: int) -> list[Trigger]:
        return self.silence.sweep(at, self.keys)


def brief(triggers: list[Trigger]) -> list[tuple[str, int, str, str]]:
    return [(t.area or f"d-{t.device}", t.at - T, t.state, t.severity) for t in triggers]


def test_devices_silent_together_are_one_outage_of_their_area() -> None:
    village = Village(rule(), [device(key) for key in range(1, 11)])
    village.hear(*range(1, 11), at=T + MINUTE)
    village.hear(1, 2, 3, 4, at=T + 90 * SECOND)  # all but these four lost their power before
    assert village.look(T + 4 * MINUTE) == []
    (told,) = village.look(T + 5 * MINUTE + 1)
    assert brief([told]) == [("520201", 5 * MINUTE, "raised", "urgent")]
    assert (told.kind, told.device, told.resident, told.rule) == ("outage", 0, 0, "outage")
    assert told.evidence["devices"] == sorted(f"d-{key}" for key in range(1, 11))
    assert told.evidence["silent"] == 10
    assert told.zh == "区域 520201 有 10 台设备同时没有数据，可能停电或断网"
    assert told.en == "10 devices in area 520201 fell silent together: perhaps a power cut or a network failure"


def test_a_few_among_many_that_speak_are_told_each_by_itself() -> None:
    village = Village(rule(), [device(key) for key in range(1, 11)])
    for at in range(T, T + 6 * MINUTE, MINUTE):
        village.hear(*range(4, 11), at=at)
    told = village.look(T + 5 * MINUTE)
    assert brief(told) == [(f"d-{key}", 3 * MINUTE, "raised", "warning") for key in (1, 2, 3)]


def test_a_village_of_few_devices_does_not_wait() -> None:
    village = Village(rule(), [device(1), device(2), device(3, "520203")])
    assert brief(village.look(T + 3 * MINUTE + 1)) == [
        (f"d-{key}", 3 * MINUTE, "raised", "warning") for key in (1, 2, 3)
    ]


def test_most_are_back_and_those_who_are_not_are_told_after_all() -> None:
    village = Village(rule(), [device(key) for key in range(1, 6)])
    assert len(village.look(T + 4 * MINUTE + 1)) == 1
    assert village.hear(1, 2, 3, at=T + 10 * MINUTE) == []
    (over,) = village.hear(4, at=T + 11 * MINUTE)
    assert brief([over]) == [("520201", 11 * MINUTE, "cleared", "urgent")]
    assert over.evidence["devices"] == ["d-5"]
    village.hear(1, 2, 3, 4, at=T + 12 * MINUTE)
    assert village.look(T + 12 * MINUTE) == []
    assert brief(village.look(T + 12 * MINUTE + 1)) == [("d-5", 3 * MINUTE, "raised", "warning")]
    assert brief(village.hear(5, at=T + 13 * MINUTE)) == [("d-5", 13 * MINUTE, "cleared", "warning")]


def test_more_devices_make_it_more_severe() -> None:
    devices = [device(key, interval_s=60 if key < 4 else 100) for key in range(1, 7)]
    village = Village(rule(), devices)
    assert brief(village.look(T + 4 * MINUTE + 1)) == [("520201", 4 * MINUTE, "raised", "warning")]
    assert brief(village.look(T + 6 * MINUTE)) == [("520201", 5 * MINUTE, "raised", "urgent")]


def test_where_nobody_could_be_heard_there_is_no_outage() -> None:
    village = Village(rule(), [device(key) for key in range(1, 6)])
    village.silence.listen(T + 60 * MINUTE)
    assert village.look(T + 62 * MINUTE) == []
    village.hear(*range(1, 6), at=T + 62 * MINUTE)
    assert village.look(T + 65 * MINUTE) == []


def test_devices_that_are_revoked_leave_their_outage() -> None:
    village = Village(rule(), [device(key) for key in range(1, 6)])
    village.look(T + 4 * MINUTE + 1)
    village.register(*(device(key, revoked=True) for key in range(1, 6)))
    assert brief(village.look(T + 5 * MINUTE)) == [("520201", 5 * MINUTE, "cleared", "urgent")]
    assert village.look(T + 50 * MINUTE) == []


def test_after_a_restart_an_outage_goes_on_and_ends() -> None:
    devices = [device(key) for key in range(1, 6)]
    before = Village(rule(), devices)
    told = before.look(T + 4 * MINUTE + 1)
    village = Village(rule(), devices)
    village.silence.recall_outages(told)
    village.silence.listen(T + 6 * MINUTE)
    assert village.look(T + 20 * MINUTE) == []
    assert brief(village.hear(1, 2, 3, 4, at=T + 30 * MINUTE)) == [("520201", 30 * MINUTE, "cleared", "urgent")]
    assert brief(village.look(T + 32 * MINUTE)) == [("d-5", 3 * MINUTE, "raised", "warning")]


def test_what_is_more_than_a_sweep_can_tell_is_told_by_the_next_ones() -> None:
    devices = [device(key, f"5202{key % 5:02d}") for key in range(1, 61)]
    whole = Village(rule(), devices).look(T + 10 * MINUTE)
    most = silence_module.MOST_DUE, silence_module.MOST_TOLD
    try:
        silence_module.MOST_DUE, silence_module.MOST_TOLD = 7, 13
        village, pieces = Village(rule(), devices), list[Trigger]()
        for second in range(30):
            pieces += village.look(T + 10 * MINUTE + second)
    finally:
        silence_module.MOST_DUE, silence_module.MOST_TOLD = most
    assert len(whole) == 5
    assert sorted(pieces, key=lambda one: one.key) == sorted(whole, key=lambda one: one.key)


@st.composite
def counties(draw: st.DrawFn) -> tuple[SilenceRule, list[RegisteredDevice], list[Step]]:
    """Up to ten devices of two areas, most of them going silent and coming back together."""
    share = draw(st.sampled_from([0.3, 0.5, 1.0]))
    body = rule(share=share, back=draw(st.sampled_from([0.5, 0.8, 1.0])), gather_s=draw(st.sampled_from([15, 90])))
    if draw(st.integers(0, 5)) == 0:
        body = msgspec.structs.replace(body, together=None)
    devices = [
        device(key, draw(st.sampled_from(["520201", "520201", "520202"])), draw(st.sampled_from([60, 60, 61, 300])))
        for key in range(1, draw(st.integers(3, 10)) + 1)
    ]
    keys, steps, now = [one.key for one in devices], list[Step](), T
    for _ in range(draw(st.integers(1, 12))):
        now += draw(st.sampled_from([1, SECOND, MINUTE, MINUTE, 2 * MINUTE, 4 * MINUTE, 16 * MINUTE]))
        match draw(st.integers(0, 9)):
            case 0:
                steps.append(Gone(draw(st.sampled_from(keys))))
            case 1:
                steps.append(Deaf(now))
            case 2 | 3 | 4 | 5:
                some = draw(st.lists(st.sampled_from(keys), unique=True, max_size=10))
                steps += [Heard(key, now + draw(st.sampled_from([0, 0, 1, 1000]))) for key in some]
                now += 1000
        if draw(st.booleans()):
            steps.append(Look(now))
    return body, devices, [*steps, Look(now + 60 * MINUTE)]


def run(body: SilenceRule, devices: list[RegisteredDevice], steps: list[Step], draw: Draw) -> list[Trigger]:
    """The steps, what is heard in batches cut anywhere, further looks where they can change nothing."""
    village, told, batch = Village(body, devices), list[Trigger](), list[Heard]()
    gone: set[int] = set()
    for step, following in pairwise([*steps, None]):
        if isinstance(step, Heard):
            if step.device not in gone:
                batch.append(step)
            if isinstance(following, Heard) and draw(st.booleans()):
                continue
        if batch:
            keys = np.array([one.device for one in batch], np.int64)
            at = np.array([one.at for one in batch], np.int64)
            told += village.silence.heard(keys, keys.astype(np.int32), at)
            batch = []
        match step:
            case Look():
                told += village.look(step.now)
            case Gone():
                gone.add(step.device)
                village.register(replace_revoked(village.devices[step.device]))
            case Deaf():
                village.silence.listen(step.until)
    return told


def replace_revoked(one: RegisteredDevice) -> RegisteredDevice:
    return msgspec.structs.replace(one, revoked=True)


def said(triggers: list[Trigger]) -> list[Said]:
    return sorted((t.at, t.area or f"d-{t.device}", t.state, t.severity) for t in triggers)


@SETTINGS
@given(data=st.data())
def test_it_says_what_the_scalar_version_says(data: st.DataObject) -> None:
    body, devices, steps = data.draw(counties())
    told = run(body, devices, steps, data.draw)
    assert said(told) == silence_said(body, devices, steps)
    assert len({one.key for one in told}) == len(told)


@SETTINGS
@given(data=st.data())
def test_it_does_not_depend_on_when_somebody_looked(data: st.DataObject) -> None:
    body, devices, _ = data.draw(counties())
    heard = [Heard(one.key, T + data.draw(st.sampled_from([0, 1, SECOND, MINUTE, 5 * MINUTE]))) for one in devices]
    steps: list[Step] = [*sorted(heard, key=lambda one: one.at)]
    first = T + 5 * MINUTE + 1
    looks = sorted(data.draw(st.sets(st.integers(0, 30 * MINUTE), max_size=8)))
    at_last = Look(first + 60 * MINUTE)
    # Nobody looks before all was heard: what is heard in time was never silent.
    at_once = run(body, devices, [*steps, at_last], data.draw)
    often = run(body, devices, [*steps, *(Look(first + at) for at in looks), at_last], data.draw)
    assert said(often) == said(at_once)
