"""The simulated county and its people: plausible, the same every time, and by themselves no reason for an alert."""

import datetime as dt

import pytest

from homecare.metrics import BY_NAME
from simulators.county import COUNTY, Secrets, sample_county
from simulators.person import HOME_ZONE, Person
from simulators.scenarios import EVERY_KIND, SCENARIOS

DAY = [
    int(dt.datetime(2026, 11, 20, h, m, tzinfo=HOME_ZONE).timestamp() * 1000) for h in range(24) for m in (0, 17, 40)
]
PEOPLE = [Person(seed, 26.6, 104.8) for seed in range(60)]
QUIET = {
    "heart_rate": (51, 99),
    "spo2": (94, 100),
    "systolic": (91, 159),
    "diastolic": (50, 99),
    "temperature": (35.1, 38),
}
"""Within these nobody is alerted (TIHM's clinicians' limits; NEWS2 for oxygen and temperature)."""


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: str(p.seed))
def test_day_is_plausible_and_quiet(person: Person) -> None:
    for ts in DAY:
        systolic, diastolic = person.pressure(ts)
        values = {
            "heart_rate": person.heart_rate(ts),
            "spo2": person.spo2(ts),
            "temperature": person.temperature(ts),
            "systolic": systolic,
            "diastolic": diastolic,
            "steps": person.steps(ts, 600),
            "activity": person.activity(ts, 600),
            "battery": person.battery(ts),
        }
        for name, value in values.items():
            metric = BY_NAME[name]
            low, high = QUIET.get(name, (metric.low, metric.high))
            assert low <= value <= high, (name, value)
        assert values["battery"] >= 40


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: str(p.seed))
def test_a_night_fall_s_pulse_is_the_night_s_at_any_hour(person: Person) -> None:
    for ts in DAY:
        assert 51 <= person.night_heart_rate(ts) <= person.night_heart_rate(ts) + 14 <= 85, ts


def test_people_sleep_at_night_and_walk_by_day() -> None:
    night = [p.steps(ts, 600) for p in PEOPLE for ts in DAY if not p.awake(ts)]
    day = [p.steps(ts, 600) for p in PEOPLE for ts in DAY if p.awake(ts)]
    assert max(night) == 0
    assert max(day) > 500


def test_signals_are_the_same_every_time() -> None:
    again = Person(3, 26.6, 104.8)
    assert [PEOPLE[3].heart_rate(ts) for ts in DAY] == [again.heart_rate(ts) for ts in DAY]
    assert [PEOPLE[3].position(ts) for ts in DAY] == [again.position(ts) for ts in DAY]
    assert PEOPLE[3].heart_rate(DAY[0]) != PEOPLE[4].heart_rate(DAY[0]) or PEOPLE[3].position(DAY[0]) != PEOPLE[
        4
    ].position(DAY[0])


def test_people_stay_within_a_walk_of_their_home() -> None:
    for person in PEOPLE[::5]:
        for ts in DAY:
            place = person.position(ts)
            assert abs(place.lat - 26.6) < 0.008
            assert abs(place.lon - 104.8) < 0.009


def test_county_is_what_the_demo_promises() -> None:
    county = sample_county(Secrets(lambda d: d, lambda c: (c, "whsec_x"), "ten letters"))
    levels = [area.level for area in county.areas]
    assert [levels.count(level) for level in ("county", "township", "village")] == [1, 4, 10]
    assert (len(county.residents), len(county.devices)) == (60, 90)
    assert {d.kind for d in county.devices} == {"handset", "fall_sensor", "kiosk"}
    contacts = [entry.resident for entry in county.resident_contacts]
    assert all(contacts.count(resident.id) >= 2 for resident in county.residents)
    assert all(area.code.startswith(COUNTY) for area in county.areas)
    names = [entry.name for entry in county.residents]
    names += [entry.name for entry in county.contacts] + [entry.name for entry in county.operators]
    assert all("示例" in name for name in names)
    assert len({resident.name for resident in county.residents}) == 60
    policed = [kind for policy in county.policies for kind in policy.kinds or ()]
    assert sorted(policed) == sorted(EVERY_KIND)


def test_each_scenario_says_what_it_must_raise_and_what_not() -> None:
    assert set(SCENARIOS) == {
        "night_fall",
        "wrist_fall",
        "sos_without_fix",
        "sos_then_cancel",
        "hypertensive_kiosk_visit",
        "handset_gone_silent",
        "flat_battery",
        "quiet_day",
    }
    for scenario in SCENARIOS.values():
        assert not {must.kind for must in scenario.must} & set(scenario.must_not)
        assert {must.device for must in scenario.must} <= set(scenario.needs)
        assert scenario.zh
        assert scenario.en
