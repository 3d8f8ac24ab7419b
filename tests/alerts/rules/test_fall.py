from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.rules.fall import Fall
from alerts.rules.fall_rule import FallRule
from alerts.rules.pack import load_pack, parse_pack
from alerts.rules.settled import SLACK_MS
from homecare.errors import InputError
from homecare.messages import AccelerationWindow
from homecare.triggers import Trigger
from simulators.wrist import Floats, fall_story, falling, lying, walking
from tests.alerts.rules import scalar_fall, wrist
from tests.alerts.rules.wrist import START

SETTINGS = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PACK_RULE = load_pack().rules["fall"]["fall"]
assert isinstance(PACK_RULE, FallRule)
RULE = PACK_RULE


def rule(**changes: Any) -> Fall:
    fall = Fall("fall", msgspec.structs.replace(RULE, **changes))
    fall.make_room(8)
    return fall


def feed(fall: Fall, windows: Sequence[AccelerationWindow]) -> list[Trigger]:
    return fall.windows(windows, np.array([window.device_key for window in windows], np.int64))


def end(fall: Fall, windows: Sequence[AccelerationWindow]) -> list[Trigger]:
    return fall.sweep(max(window.received for window in windows) + 60_000 - SLACK_MS)


def cut(value: Floats, hz: float, seconds: float = 2.0, **more: Any) -> list[AccelerationWindow]:
    return wrist.windows(value, hz, range(0, len(value), round(seconds * hz)), **more)


def told_of(value: Floats, hz: float = 50, **more: Any) -> list[Trigger]:
    windows = cut(value, hz, **more)
    fall = rule()
    told = [trigger for window in windows for trigger in feed(fall, [window])]
    return told + end(fall, windows)


def whats(triggers: Sequence[Trigger]) -> list[str]:
    return [trigger.key.rpartition(":")[2] for trigger in triggers]


@pytest.mark.parametrize("hz", [20, 25, 50, 100])
@pytest.mark.parametrize("unit", ["g", "m/s2"])
def test_a_fall_is_told_whatever_the_sensor(hz: float, unit: str) -> None:
    (trigger,) = told_of(fall_story(hz), hz, unit=unit)
    assert (trigger.kind, trigger.rule, trigger.severity, trigger.state) == ("fall", "fall", "urgent", "raised")
    assert (trigger.device, trigger.resident) == (1, 7)
    assert abs(trigger.at - (START + 8_000 + 1_150)) <= 100
    assert trigger.evidence["confidence"] > 0.9
    assert max(g for g in trigger.evidence["trace"]["g"] if g is not None) == pytest.approx(
        trigger.evidence["peak_g"], abs=0.01
    )
    assert "g" in trigger.zh
    assert "impact of" in trigger.en


def test_turning_the_sensor_changes_nothing() -> None:
    turned, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    value = np.clip(fall_story(50), -2.2, 2.2)  # no axis may reach the sensor's end: that end is its own
    straight, other = told_of(value), told_of(value @ turned)
    assert whats(straight) == whats(other) == ["impact"]
    assert straight[0].evidence["confidence"] == pytest.approx(other[0].evidence["confidence"], abs=0.02)


@pytest.mark.parametrize("hz", [20, 50])
@pytest.mark.parametrize(("pace", "swing"), [(1.6, 0.3), (1.9, 0.5), (2.7, 1.4)])
def test_walking_and_running_are_no_falls(hz: float, pace: float, swing: float) -> None:
    assert told_of(walking(60, hz, 3, pace, swing), hz) == []


def test_a_wrist_that_then_lies_still_is_critical() -> None:
    told = told_of(fall_story(50, after=40))
    assert whats(told) == ["impact", "still"]
    assert (told[1].severity, told[1].at - told[0].at) == ("critical", 30_000)
    assert told[1].en == "Lying still for 25 s after the fall"
    assert told[1].evidence["spread_g"][10] < RULE.still_g


def test_who_walks_after_the_fall_is_told_as_up() -> None:
    told = told_of(np.concatenate([fall_story(50), walking(20, 50, 2)]))
    assert whats(told) == ["impact", "up"]
    assert told[1].severity == "info"


def test_who_moves_without_walking_is_neither() -> None:
    restless = lying(40, 50, noise=0.06)
    assert whats(told_of(np.concatenate([walking(8, 50), falling(50), restless]))) == ["impact"]


def test_a_wrist_that_is_seen_no_more_is_not_called_still() -> None:
    assert whats(told_of(fall_story(50, after=15))) == ["impact"]


def test_bounces_and_the_next_impact_are_one_fall() -> None:
    twice = np.concatenate([walking(8, 50), falling(50), lying(3, 50), falling(50), lying(6, 50)])
    assert whats(told_of(twice)) == ["impact"]
    later = np.concatenate([walking(8, 50), falling(50), lying(12, 50), falling(50), lying(6, 50)])
    assert whats(told_of(later)) == ["impact", "impact"]


def test_a_sensors_glitch_is_no_impact() -> None:
    value = lying(20, 50)
    value[500] = 30.0, -25.0, 20.0
    fall = rule(confidence=0.0)
    assert feed(fall, cut(value, 50)) + end(fall, cut(value, 50)) == []


def test_a_fall_at_the_end_of_what_is_sent_waits_for_more_no_longer_than_it_must() -> None:
    value = fall_story(50, after=0.0)[: round(50 * (8 + 1.15 + 1.0))]
    windows = cut(value, 50)
    fall = rule()
    assert feed(fall, windows) == []
    last = windows[-1].received
    assert fall.sweep(last + 500 - SLACK_MS) == []
    assert whats(fall.sweep(last + 4_000 - SLACK_MS)) == ["impact"]


def test_a_fall_that_comes_hours_late_is_told() -> None:
    now = cut(lying(20, 50), 50, start=START + 7_200_000)
    late = [
        msgspec.structs.replace(w, received=now[-1].received + n) for n, w in enumerate(cut(fall_story(50), 50, seq=99))
    ]
    fall = rule()
    told = feed(fall, now[:5]) + feed(fall, late[:4]) + feed(fall, now[5:]) + feed(fall, late[4:])
    assert whats(told + end(fall, late)) == ["impact"]
    assert told[0].at == told_of(fall_story(50))[0].at


def test_a_clock_that_was_ahead_for_a_while_hides_no_fall() -> None:
    ahead = cut(lying(6, 50), 50, start=START + 280_000)
    windows = cut(fall_story(50), 50, seq=99)
    fall = rule()
    assert whats(feed(fall, ahead) + feed(fall, windows) + end(fall, windows)) == ["impact"]


def test_windows_of_a_useless_rate_are_left_alone() -> None:
    value = fall_story(50)
    slow = [msgspec.structs.replace(window, hz=0.5) for window in cut(value, 50)]
    assert feed(rule(), slow) == []


def test_many_wrists_at_once_are_told_apart() -> None:
    fall = rule()
    windows = [
        window
        for device in range(1, 7)
        for window in cut(fall_story(50, device) if device % 2 else walking(18, 50, device), 50, device=device)
    ]
    told = feed(fall, sorted(windows, key=lambda window: window.received)) + end(fall, windows)
    assert sorted(trigger.device for trigger in told) == [1, 3, 5]


STORIES: list[Callable[[float, int], Floats]] = [
    lambda hz, seed: fall_story(hz, seed, before=4.0, after=34.0),
    lambda hz, seed: np.concatenate([fall_story(hz, seed, 4.0, 6.0), walking(16, hz, seed)]),
    lambda hz, seed: fall_story(hz, seed, before=1.0, after=1.0),
    lambda hz, seed: np.concatenate([lying(3, hz), falling(hz, seed), lying(2, hz, 1, 0.2)]),
    lambda hz, seed: walking(9, hz, seed, 2.6, 1.6),
]


@st.composite
def streams(draw: Callable[..., Any]) -> list[AccelerationWindow]:
    """A story, cut anywhere into windows, some of which are lost."""
    hz = draw(st.sampled_from([20, 25, 50, 100]))
    value = draw(st.sampled_from(STORIES))(hz, draw(st.integers(0, 20)))
    spacing = draw(st.sampled_from([0.3, 1.0, 2.0, 7.0]))
    cuts = [round((n + draw(st.floats(0, 0.9))) * spacing * hz) for n in range(int(len(value) / hz / spacing) + 1)]
    if draw(st.booleans()):
        value[draw(st.integers(0, len(value) - 1))] = 31.0, 2.0, -20.0
    made = wrist.windows(value, hz, cuts)
    lost = draw(st.lists(st.integers(0, len(made) - 1), max_size=2))
    return [window for number, window in enumerate(made) if number not in lost] or made


def said(triggers: Sequence[Trigger]) -> list[tuple[int, str, str]]:
    return sorted((trigger.at, trigger.key, trigger.en) for trigger in triggers)


@SETTINGS
@given(windows=streams())
def test_it_says_what_the_scalar_version_says(windows: list[AccelerationWindow]) -> None:
    fall = rule()
    told = feed(fall, windows) + end(fall, windows)
    expected = sorted((one.at, one.what) for one in scalar_fall.falls(windows, RULE))
    assert sorted((trigger.at, trigger.key.rpartition(":")[2]) for trigger in told) == expected


@SETTINGS
@given(windows=streams(), data=st.data())
def test_however_cut_repeated_disordered_or_started_again_it_says_the_same(
    windows: list[AccelerationWindow], data: st.DataObject
) -> None:
    fall = rule()
    expected = said(feed(fall, windows) + end(fall, windows))
    stream = list(windows)
    for place in data.draw(st.lists(st.integers(0, len(stream) - 2), max_size=3)) if len(stream) > 1 else []:
        if stream[place + 1].ts - stream[place].ts < 1_500:  # later than that, it is not waited for
            stream[place], stream[place + 1] = stream[place + 1], stream[place]
    for place in data.draw(st.lists(st.integers(0, len(stream) - 1), max_size=3)):
        stream.insert(data.draw(st.integers(place + 1, len(stream))), stream[place])
    fall, told, batch = rule(), [], []
    for window in stream:
        batch.append(window)
        step = data.draw(st.integers(0, 5))
        if step > 2:
            continue
        told += feed(fall, batch)
        batch = []
        if step == 0:
            kept, fall = fall.dump(), rule()
            fall.load(kept, np.arange(8))
    told += feed(fall, batch) if batch else []
    assert said(told + end(fall, windows)) == expected


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("confidence = 1.5", "confidence"),
        ("still_g = 0.5", "still_g"),
        ("up_seconds = 1", "up_seconds"),
        ('zh = "{size}"', "zh"),
        ("version = 0", "version"),
        ("wobble = 3", "wobble"),
    ],
)
def test_a_wrong_section_is_named(line: str, field: str) -> None:
    name = line.partition(" ")[0]
    fields = {key: value for key, value in msgspec.to_builtins(RULE).items() if key != name}
    body = "\n".join(f"{key} = {msgspec.json.encode(value).decode()}" for key, value in fields.items())
    with pytest.raises(InputError, match=rf"fall.*{field}"):
        parse_pack(f"[pack]\nlateness_s = 300\n\n[fall]\n{body}\n{line}\n")
