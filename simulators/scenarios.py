"""Named scenarios of a home: what happens, the alerts that must come of it, and those that must not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from homecare.messages import Position
from homecare.triggers import Kind
from simulators.device import Acknowledged, Device
from simulators.home import Home
from simulators.payloads import Sample
from simulators.wrist import as_samples, fall_story

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
EVERY_KIND: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class MustRaise:
    """An alert that has to come of a scenario: its kind, what it is about, where it ends without anybody's answer."""

    kind: Kind
    device: Literal["handset", "fall_sensor", "kiosk"]
    metric: str | None = None
    state: Literal["open", "cancelled", "resolved"] = "open"
    positioned: bool | None = None
    """Whether the alert knows a position; None: either."""


@dataclass(frozen=True, slots=True)
class Played:
    """What the devices saw of it: the backend's answers, in order."""

    acks: tuple[Acknowledged, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """`play` returns when the last of it has been acknowledged. `needs`: the devices the home must have."""

    name: str
    zh: str
    en: str
    needs: tuple[Literal["handset", "fall_sensor", "kiosk"], ...]
    must: tuple[MustRaise, ...]
    must_not: tuple[Kind, ...]
    play: Callable[[Home], Awaitable[Played]]


def need(device: Device | None) -> Device:
    """The device, where the home has one."""
    assert device is not None, "the home lacks a device this scenario needs"
    return device


def others(*kinds: Kind) -> tuple[Kind, ...]:
    """Every kind of alert but these."""
    return tuple(kind for kind in EVERY_KIND if kind not in kinds)


async def _night_fall(home: Home) -> Played:
    sensor, now = need(home.fall_sensor), need(home.fall_sensor).clock()
    pulse = home.person.night_heart_rate(now)
    await sensor.measure(
        [
            Sample(now - 20_000, {"heart_rate": pulse, "activity": 2, "battery": 77}),
            Sample(now - 10_000, {"heart_rate": pulse + 9, "activity": 61, "battery": 77}),
        ]
    )
    ack = await sensor.signal("fall", values={"confidence": 0.93})
    # On the floor, without getting up.
    await sensor.measure([Sample(sensor.clock(), {"heart_rate": pulse + 14, "activity": 0, "battery": 77})])
    return Played((ack,))


async def _wrist_fall(home: Home) -> Played:
    # The sensor itself sees nothing in it: it only sends what it feels.
    sensor, hz = need(home.fall_sensor), 50.0
    felt = fall_story(hz, home.person.seed, before=10.0, after=36.0)
    start = sensor.clock() - round(len(felt) / hz * 1000)
    for sample in as_samples(felt, hz, start):
        await sensor.measure([sample])
    return Played()


async def _sos_without_fix(home: Home) -> Played:
    ack = await need(home.handset).signal("sos", values={"battery": 64})
    return Played((ack,))


async def _sos_then_cancel(home: Home) -> Played:
    handset = need(home.handset)
    sos = await handset.signal("sos", position=home.person.position(handset.clock()))
    cancel = await handset.signal("cancel", of=sos.seq)
    return Played((sos, cancel))


async def _hypertensive_kiosk_visit(home: Home) -> Played:
    # Sat down, measured, rested for two minutes, measured again, as one does before believing the first.
    kiosk, now = need(home.kiosk), need(home.kiosk).clock()
    visits = [
        Sample(now - 3 * MINUTE_MS, {"systolic": 188, "diastolic": 94, "heart_rate": 84, "spo2": 96}),
        Sample(now - MINUTE_MS, {"systolic": 186, "diastolic": 92, "heart_rate": 81, "temperature": 36.6}),
    ]
    for visit in visits:
        await kiosk.measure([visit], subject=home.resident)
    return Played()


async def _handset_gone_silent(home: Home) -> Played:
    handset = need(home.handset)
    for _ in range(3):
        await handset.measure([usual_sample(home, handset.clock(), handset.interval_s)])
        await asyncio.sleep(handset.interval_s / 3)
    handset.cut()
    return Played()


async def _flat_battery(home: Home) -> Played:
    handset, now = need(home.handset), need(home.handset).clock()
    drain = [
        Sample(now - (8 - n) * MINUTE_MS // 2, {"battery": level})
        for n, level in enumerate((24, 21, 18, 14, 11, 8, 6, 4))
    ]
    for sample in drain:
        await handset.measure([sample])
    ack = await handset.signal("low_battery", values={"battery": 4})
    return Played((ack,))


async def _quiet_day(home: Home) -> Played:
    handset, kiosk = need(home.handset), need(home.kiosk)
    now = handset.clock()
    for hour in range(24, 0, -1):
        begin = now - hour * HOUR_MS
        await handset.measure([usual_sample(home, begin + n * 10 * MINUTE_MS, 600) for n in range(6)])
    systolic, diastolic = home.person.pressure(now)
    values = {"systolic": systolic, "diastolic": diastolic, "heart_rate": home.person.heart_rate(now), "glucose": 5.8}
    await kiosk.measure([Sample(kiosk.clock(), values)], subject=home.resident)
    ack = await handset.signal("check_in", position=home.person.position(now))
    return Played((ack,))


def usual_sample(home: Home, ts: int, seconds: float) -> Sample:
    """What a handset measures at `ts` on a day like any other; `seconds` since its last sample."""
    person = home.person
    values = {
        "heart_rate": person.heart_rate(ts),
        "spo2": person.spo2(ts),
        "steps": person.steps(ts, seconds),
        "battery": person.battery(ts),
        "signal": -71.0,
    }
    position: Position = person.position(ts)
    return Sample(ts, values, position)


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "night_fall",
            "夜间跌倒，卧地不起",
            "A fall at night; nobody gets up",
            ("fall_sensor",),
            (MustRaise("fall", "fall_sensor"),),
            others("fall"),
            _night_fall,
        ),
        Scenario(
            "wrist_fall",
            "仅凭手腕加速度发现的跌倒，之后躺着不动",
            "A fall told by raw acceleration alone; the wrist then lies still",
            ("fall_sensor",),
            (MustRaise("fall", "fall_sensor"),),
            others("fall"),
            _wrist_fall,
        ),
        Scenario(
            "sos_without_fix",
            "按下求救键，没有定位",
            "The emergency button, without a position",
            ("handset",),
            (MustRaise("sos", "handset", positioned=False),),
            others("sos"),
            _sos_without_fix,
        ),
        Scenario(
            "sos_then_cancel",
            "求救后本人取消",
            "The emergency button, taken back by the wearer",
            ("handset",),
            (MustRaise("sos", "handset", state="cancelled", positioned=True),),
            others("sos"),
            _sos_then_cancel,
        ),
        Scenario(
            "hypertensive_kiosk_visit",
            "健康亭测得血压很高",
            "Very high pressure at the kiosk, measured twice",
            ("kiosk",),
            (MustRaise("vital", "kiosk", metric="systolic"),),
            others("vital"),
            _hypertensive_kiosk_visit,
        ),
        Scenario(
            "handset_gone_silent",
            "手机失联",
            "A handset that is heard no more",
            ("handset",),
            (MustRaise("silence", "handset"),),
            others("silence"),
            _handset_gone_silent,
        ),
        Scenario(
            "flat_battery",
            "电量耗尽",
            "A battery that runs flat",
            ("handset",),
            (MustRaise("battery", "handset"),),
            others("battery"),
            _flat_battery,
        ),
        Scenario(
            "quiet_day",
            "平静的一天",
            "A day on which nothing happens",
            ("handset", "kiosk"),
            (),
            EVERY_KIND,
            _quiet_day,
        ),
    )
}
