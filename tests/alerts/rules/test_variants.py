"""Overrides: what they make of the pack, what is refused, and what they do to readings and episodes."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.rules.engine import Engine
from alerts.rules.pack import load_pack
from alerts.rules.variants import Variants, flat, rule_names, rule_of, variants, with_fields
from homecare.devices import RegisteredDevice
from homecare.errors import InputError
from homecare.metrics import METRICS
from homecare.overrides import Area, Override
from homecare.residents import Profile
from homecare.triggers import Trigger
from tests.alerts.rules.scalar import Sample, limit_triggers, to_samples
from tests.alerts.rules.test_battery import cut, ordered, said, streams, with_duplicates

PACK = load_pack()
T = 1_800_000_000_000
MINUTE = 60_000
AREAS = (
    Area("99", None, "Asia/Shanghai"),
    Area("9901", "99", "Asia/Shanghai"),
    Area("990101", "9901", "Asia/Urumqi"),
    Area("9902", "99", "Asia/Shanghai"),
)
HIGH = "reading.heart_rate:high"
WARNING = f"{HIGH}.bands.warning.limit"
URGENT = f"{HIGH}.bands.urgent.limit"


def in_area(area: str, field: str, value: Any, rule: str = "limit.heart_rate") -> Override:
    return Override(area, None, rule, field, value)


def of_resident(key: int, area: str, field: str, value: Any, rule: str = "limit.heart_rate") -> Override:
    return Override(None, f"R-{key}", rule, field, value, area, key)


def limits(found: Variants, area: str, resident: int = 0) -> list[float]:
    """The limits of a high heart rate there."""
    return [band.limit for band in found.packs[found.of(area, resident)].limit["heart_rate"].reading[0].bands]


def test_what_holds_is_the_pack_then_the_areas_from_the_root_then_the_resident() -> None:
    overrides = [
        in_area("99", WARNING, 104),
        in_area("990101", WARNING, 106),
        of_resident(7, "990101", URGENT, 115),
        of_resident(8, "9902", WARNING, 90),
    ]
    found = variants(PACK, overrides, AREAS)
    assert found.problems == ()
    assert limits(found, "9902") == limits(found, "9901", resident=5) == [104, 111, 131]
    assert limits(found, "990101") == [106, 111, 131]
    assert limits(found, "990101", 7) == [106, 115, 131]
    assert limits(found, "9902", 8) == [90, 111, 131]
    assert limits(found, "nowhere") == [100, 111, 131]
    assert found.packs[0] is PACK


def test_alike_overrides_are_one_variant_and_what_the_pack_says_anyway_is_none() -> None:
    same = [of_resident(key, "9901", WARNING, 90) for key in range(1, 50)]
    found = variants(PACK, [*same, of_resident(50, "9901", WARNING, 100.0)], AREAS)
    assert len(found.packs) == 2
    assert {found.of("9901", key) for key in range(1, 50)} == {1}
    assert found.of("9901", 50) == 0


def test_variants_keep_their_numbers_when_others_come_and_go() -> None:
    first = variants(PACK, [in_area("9901", WARNING, 104), of_resident(7, "9902", WARNING, 90)], AREAS)
    numbers = first.of("9901"), first.of("9902", 7)
    second = variants(PACK, [of_resident(7, "9902", WARNING, 90), in_area("9902", WARNING, 80)], AREAS, first)
    assert second.of("9901") == 0
    assert second.of("9902", 7) == numbers[1]
    assert second.of("9902") not in (0, *numbers)
    assert second.packs[numbers[0]] is first.packs[numbers[0]]


def test_limits_may_pass_each_other_when_both_move() -> None:
    found = variants(PACK, [in_area("99", WARNING, 120), in_area("99", URGENT, 125)], AREAS)
    assert limits(found, "9901") == [120, 125, 131]


def test_what_cannot_be_followed_is_named_and_left_out_and_the_rest_holds() -> None:
    overrides = [
        in_area("99", WARNING, 104),
        in_area("9901", WARNING, 120),
        in_area("9901", "reading.spo2:low.hysteresis", 3, "limit.spo2"),
        of_resident(7, "9901", "again_s", -1),
    ]
    found = variants(PACK, overrides, AREAS)
    assert limits(found, "9901") == [104, 111, 131]
    assert found.packs[found.of("9901")].limit["spo2"].reading[0].hysteresis == 3
    assert found.of("9901", 7) == found.of("9901")
    assert [(problem.whose, problem.rule) for problem in found.problems] == [
        ("area 9901", "limit.heart_rate"),
        ("resident R-7", "limit.heart_rate"),
    ]
    assert "expected bands from mild to severe" in found.problems[0].text


@pytest.mark.parametrize(
    ("rule", "field", "value", "expected"),
    [
        ("limit.heart_rate", WARNING, "high", "reading[0].bands[0].limit: Expected `float`, got `str`"),
        ("limit.heart_rate", WARNING, 900, "reading[0].bands[0].limit: expected 20 to 250 /min"),
        ("limit.heart_rate", WARNING, 115, "reading[0].bands[1].limit: expected bands from mild to severe"),
        ("limit.heart_rate", f"{HIGH}.bands.mild.limit", 90, "mild: expected one of warning, urgent, critical"),
        ("limit.heart_rate", "reading.pulse:high.hysteresis", 3, "pulse:high: expected one of heart_rate:high"),
        ("limit.heart_rate", "agian_s", 60, "agian_s: expected one of version, kind"),
        ("limit.heart_rate", "again_s.x", 60, "x: expected the end of the path"),
        ("limit.heart_rate", "version", 2, "expected a field that may differ"),
        ("limit.heart_rate", f"{HIGH}.metric", "spo2", "expected a field that may differ"),
        ("limit.heart_rate", f"{HIGH}.of", [3, 2], "reading[0].of: expected [n, m]"),
        ("limit.heart_rate", f"{HIGH}.for_s", -1, "reading[0].for_s: expected 0 or more"),
        ("limit.heart_rate", f"{HIGH}.zh", "{name}", "reading[0].zh: expected a text whose fields are among"),
        ("limit.spo2", "reading", [], "reading: expected at least one"),
    ],
)
def test_a_wrong_value_is_told_by_rule_field_and_what_was_expected(
    rule: str, field: str, value: Any, expected: str
) -> None:
    known = rule_of(PACK, rule)
    assert known is not None
    with pytest.raises(InputError) as error:
        with_fields(rule, known, {field: value})
    assert str(error.value).startswith(f"rule {rule}, field ")
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (in_area("99", "severity", "info", "event.sos"), "there is no such rule, or it is the same for everybody"),
        (in_area("99", WARNING, 90, "limit.pulse"), "there is no such rule"),
        (of_resident(7, "99", "again_s", 60, "limit.battery"), "expected an area, for it is about devices"),
        (of_resident(7, "99", "intervals", 5, "silence"), "expected an area, for it is about devices"),
        (in_area("99", "severity", "info", "silence"), "expected intervals or floor_s"),
    ],
)
def test_some_rules_cannot_differ(override: Override, expected: str) -> None:
    found = variants(PACK, [override], AREAS)
    assert expected in found.problems[0].text
    assert len(found.packs) == 1


@pytest.mark.parametrize("name", rule_names(PACK))
def test_every_field_of_every_rule_can_be_named_and_set_to_what_it_is(name: str) -> None:
    rule = rule_of(PACK, name)
    assert rule is not None
    fields = {path: value for path, value in flat(rule).items() if path.rpartition(".")[2] not in FIXED_NAMES}
    assert fields
    assert with_fields(name, rule, fields) == rule


FIXED_NAMES = frozenset({"version", "kind", "scope", "metric", "side"})


def somewhat_different(name: str) -> dict[str, Any]:
    """A field of the rule with a value that it may have and has not."""
    rule = rule_of(PACK, name)
    assert rule is not None
    for path, value in flat(rule).items():
        if isinstance(value, int | float) and not isinstance(value, bool) and path not in FIXED_NAMES:
            for other in (value + 1, value - 1, value * 1.01):
                try:
                    with_fields(name, rule, {path: other})
                except InputError:
                    continue
                return {path: other}
    raise AssertionError(f"{name}: no number in it may differ")


@pytest.mark.parametrize("name", rule_names(PACK))
def test_every_rule_may_differ_for_some_while_it_runs(name: str) -> None:
    engine = Engine(PACK)
    engine.know(PEOPLE)
    engine.register(DEVICES)
    fields = somewhat_different(name)
    found = variants(PACK, [in_area("9901", path, value, name) for path, value in fields.items()], AREAS)
    assert found.problems == ()
    for number in range(3):
        samples = [
            Sample(T + (60 * number + n) * MINUTE, everything(n), T + (60 * number + n) * MINUTE, 1 + n % 3, 7 + n % 3, seq=n + 60 * number)
            for n in range(20)
        ]  # fmt: skip
        engine.apply(to_samples(samples))
        engine.sweep(T + (60 * number + 50) * MINUTE)
        learn(engine, found if number == 0 else variants(PACK, [], AREAS, found))


def everything(n: int) -> dict[str, float]:
    """A sample in which everything was measured, now within its limits and now far beyond."""
    return {metric.name: metric.low if n % 5 == 0 else (metric.low + metric.high) / 2 for metric in METRICS}


# --- what it does to readings ------------------------------------------------------------------------------------

DEVICES = tuple(
    RegisteredDevice(key, f"d-{key}", area, "handset", 60) for key, area in [(1, "9901"), (2, "9902"), (3, "99")]
)
PEOPLE = tuple(Profile(key, f"R-{key}", area) for key, area in [(7, "9901"), (8, "9902"), (9, "990101")])
TIGHT = variants(
    PACK,
    [
        in_area("9901", WARNING, 90),
        in_area("9901", "again_s", 600),
        in_area("9902", "reading.spo2:low.bands", [{"severity": "warning", "limit": 95}], "limit.spo2"),
        of_resident(9, "990101", "reading.heart_rate:low.bands.warning.limit", 60),
        in_area("9902", "reading.battery:low.bands.warning.limit", 40, "limit.battery"),
        of_resident(8, "9902", "reading", [], "limit.glucose"),
        of_resident(8, "9902", f"{HIGH}.for_s", 1800),
    ],
    AREAS,
)


def knowing(found: Variants) -> Engine:
    engine = Engine(PACK)
    learn(engine, found)
    return engine


def learn(engine: Engine, found: Variants) -> None:
    engine.know(PEOPLE, found)
    engine.register(DEVICES)


@pytest.mark.parametrize("rule", ["heart_rate", "spo2", "battery"])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_everybody_is_judged_by_what_holds_for_them(rule: str, data: st.DataObject) -> None:
    samples = ordered(data.draw(streams(rule)))
    stream = with_duplicates(data.draw, samples) if samples else []
    engine = knowing(TIGHT)
    triggers: list[Trigger] = []
    for batch in cut(data.draw, stream):
        triggers += engine.apply(to_samples(batch))
    areas = {device.key: device.area for device in DEVICES}
    homes = {person.key: person.area for person in PEOPLE}
    expected = []
    for number, pack in enumerate(TIGHT.packs):
        of_person = [s for s in stream if TIGHT.of(homes.get(s.resident, areas[s.device]), s.resident) == number]
        of_device = [s for s in stream if TIGHT.of(areas[s.device]) == number]
        expected += [one for one in limit_triggers(pack, of_person) if one.rule != "battery"]
        expected += [one for one in limit_triggers(pack, of_device) if one.rule == "battery"]
    at_once = [trigger for trigger in triggers if "counted" not in trigger.evidence]
    assert said(at_once) == sorted(expected)


def reading(engine: Engine, minute: int, value: float, resident: int = 7) -> list[tuple[str, str, float]]:
    at = T + minute * MINUTE
    sample = Sample(at, {"heart_rate": value}, at, device=1, resident=resident, seq=minute)
    return [(t.state, t.severity, t.evidence["limit"]) for t in engine.apply(to_samples([sample]))]


def test_limits_that_change_while_an_episode_lasts_do_not_lose_it() -> None:
    engine = knowing(variants(PACK, [], AREAS))
    assert reading(engine, 0, 105) == [("raised", "warning", 100)]
    lower = variants(PACK, [in_area("9901", WARNING, 90)], AREAS)
    learn(engine, lower)
    assert reading(engine, 1, 105) == []
    assert reading(engine, 2, 92) == []
    higher = variants(PACK, [in_area("9901", WARNING, 108)], AREAS, lower)
    learn(engine, higher)
    assert reading(engine, 3, 103) == [("cleared", "warning", 108)]


def test_an_episode_whose_band_is_gone_ends_by_the_new_limits() -> None:
    engine = knowing(variants(PACK, [], AREAS))
    assert reading(engine, 0, 105) == [("raised", "warning", 100)]
    gone = variants(PACK, [in_area("9901", f"{HIGH}.bands", [{"severity": "critical", "limit": 131}])], AREAS)
    learn(engine, gone)
    assert reading(engine, 1, 127) == []
    assert reading(engine, 2, 126) == [("cleared", "warning", 131)]
    assert reading(engine, 3, 131) == [("raised", "critical", 131)]


def test_a_severity_that_stays_is_not_told_again_because_a_milder_one_came() -> None:
    two = variants(PACK, [in_area("9901", f"{HIGH}.bands", [{"severity": "urgent", "limit": 111}])], AREAS)
    engine = knowing(two)
    assert reading(engine, 0, 115) == [("raised", "urgent", 111)]
    learn(engine, variants(PACK, [], AREAS, two))
    assert reading(engine, 1, 115) == []
    assert reading(engine, 2, 131) == [("raised", "critical", 131)]


def test_who_was_not_spoken_of_has_what_holds_where_the_device_stands() -> None:
    found = variants(PACK, [in_area("9901", WARNING, 90)], AREAS)
    engine = knowing(found)
    assert reading(engine, 0, 92, resident=0) == [("raised", "warning", 90)]
    assert reading(engine, 1, 92, resident=12345) == [("raised", "warning", 90)]
    assert reading(engine, 2, 92, resident=8) == []


def test_an_area_may_wait_longer_for_its_devices() -> None:
    engine = knowing(variants(PACK, [in_area("9901", "intervals", 10, "silence")], AREAS))
    for device, resident in ((1, 7), (2, 8)):
        engine.apply(to_samples([Sample(T, {"steps": 1}, T, device=device, resident=resident)]))
    engine.listen(T)
    told = [(minutes, t.device) for minutes in (4, 9, 11, 30) for t in engine.sweep(T + minutes * MINUTE)]
    assert [(minutes, device) for minutes, device in told if device in (1, 2)] == [(4, 2), (11, 1)]


def test_one_who_moves_is_judged_by_their_new_area() -> None:
    found = variants(PACK, [in_area("9901", WARNING, 90)], AREAS)
    engine = knowing(found)
    assert reading(engine, 0, 92, resident=8) == []
    engine.know([replace_area(PEOPLE[1], "9901")])
    assert reading(engine, 1, 92, resident=8) == [("raised", "warning", 90)]


def replace_area(profile: Profile, area: str) -> Profile:
    return Profile(profile.key, profile.id, area)


def test_a_reading_that_becomes_counted_is_not_told_at_once_any_more() -> None:
    engine = knowing(variants(PACK, [], AREAS))
    assert reading(engine, 0, 105) == [("raised", "warning", 100)]
    assert reading(engine, 1, 90) == [("cleared", "warning", 100)]
    learn(engine, variants(PACK, [of_resident(7, "9901", f"{HIGH}.of", [2, 3])], AREAS))
    assert reading(engine, 2, 105) == []
    assert reading(engine, 3, 105) == []
    (told,) = [trigger for trigger in engine.sweep(T + 60 * MINUTE) if trigger.rule == "heart_rate"]
    assert (told.at, told.severity, told.resident) == (T + 3 * MINUTE, "warning", 7)
    assert told.evidence["counted"] == {"of": [2, 3]}
    assert [one["at"] for one in told.evidence["readings"]] == [T + 3 * MINUTE, T + 2 * MINUTE]
    assert told.en == "Heart rate 105 bpm, at or above the limit of 100 bpm (2 of the last 3 readings)"
    assert told.zh == "心率 105 次/分，达到或高于上限 100 次/分（最近 3 次测量中有 2 次）"


def test_a_lasting_reading_says_for_how_long() -> None:
    engine = knowing(variants(PACK, [of_resident(7, "9901", f"{HIGH}.for_s", 600)], AREAS))
    for minute, value in enumerate([105, 105, 104, 107, 105, 108, 105, 105, 105, 105, 105, 105]):
        assert reading(engine, minute, value) == []
    (told,) = [trigger for trigger in engine.sweep(T + 60 * MINUTE) if trigger.rule == "heart_rate"]
    assert told.at == T + 10 * MINUTE
    assert told.evidence["counted"] == {"for_s": 600, "since": T}
    assert len(told.evidence["readings"]) == 11
    assert told.en.endswith(" (for 10 min)")


def test_a_sample_is_one_moment_whatever_the_variant() -> None:
    engine = knowing(TIGHT)
    sample = Sample(T, {"heart_rate": 92, "spo2": 94}, T, device=1, resident=7)
    first = engine.apply(to_samples([sample]))
    assert engine.apply(to_samples([replace(sample, received=T + 1000)])) == []
    assert [(trigger.rule, trigger.severity) for trigger in first] == [("heart_rate", "warning")]
