"""The battery's cases for places and wandering: fixes where something could go wrong, and rules a short stream can reach."""

import math
from collections.abc import Callable, Sequence

import msgspec
from hypothesis import strategies as st

from alerts.rules.pack import load_pack
from alerts.rules.place import Places
from alerts.rules.place_rule import PlaceRule
from alerts.rules.running import Named
from alerts.rules.wandering import Wandering
from alerts.rules.wandering_rule import WanderingRule
from homecare.residents import Place, Profile
from tests.alerts.rules.battery import START, Case, Row, Told
from tests.alerts.rules.scalar_place import Fix, fixes_of, place_triggers
from tests.alerts.rules.scalar_wandering import good_fixes, wandering_triggers

RULES = load_pack().rules
PLACE = msgspec.structs.replace(
    msgspec.convert(RULES["place"]["place"], PlaceRule),
    fixes=2, dwell_s=60, doubts=2, again_s=600, stuck_s=120, stuck_fixes=3, home_from=960, home_until=60, wait_s=300,
)  # fmt: skip
WANDERING = msgspec.structs.replace(
    msgspec.convert(RULES["wandering"]["wandering"], WanderingRule),
    path_m=40,
    ratio=3,
    near_m=12,
    far_ratio=3.5,
    calm_s=120,
    wait_s=300,
)
LAT, LON = 26.6, 104.83
DENT = tuple(
    (LAT + north, LON + east) for north, east in ((0, 0), (0, 0.002), (0.002, 0.002), (0.001, 0.001), (0.002, 0))
)
PLACES = (
    Place("river", "enter", DENT),
    Place("yard", "leave", ((LAT, LON),), 100.0),
    Place("supper", "home_by", ((LAT, LON),), 200.0, minute=16 * 60 + 30),
)
PEOPLE = (
    Profile(7, "R-7", "520201", lat=LAT, lon=LON, places=PLACES),
    Profile(8, "R-8", "520201", zone="Europe/Berlin", places=PLACES[1:]),
)
SPOTS = (
    (0.0, 0.0),
    (0.001, 0.0015),
    (0.0012, 0.0001),
    (0.0, 0.0025),
    (0.01, 0.0),
    (0.00005, 0.0),
    (0.2, 0.0),
    (50.0, -170.0),
)
"""Degrees north and east of home: there, in the river and in the dent of its bank, out, far, near, and too far."""


@st.composite
def stays(draw: st.DrawFn) -> list[Row]:
    """Fixes of two people, a few at a spot, good and bad, often the same one again."""
    rows, at = [], START + draw(st.sampled_from([0, 30 * 60_000 - 200_000]))
    gaps = st.sampled_from([60_000] * 8 + [0, 1_000, 30_000, 61_000, 600_000, 86_400_000])
    for _ in range(draw(st.integers(1, 5))):
        spot = draw(st.sampled_from([*SPOTS[:6], *SPOTS[:4], *SPOTS]))
        for _ in range(draw(st.integers(1, 4))):
            at += draw(gaps)
            device, resident = draw(st.sampled_from([(1, 7)] * 9 + [(2, 7), (2, 8)]))
            accuracy = draw(st.sampled_from([3.0, 8.0, 8.0, 8.0, math.nan, 60.0, 2000.0]))
            fix = draw(st.sampled_from(["gnss", "gnss", "gnss", None, "wifi", "none"]))
            event = draw(st.sampled_from([None] * 9 + ["sos"]))
            lat = math.nan if draw(st.integers(0, 30)) == 30 else LAT + spot[0]
            rows.append(Row(at, {}, device, resident, lat, LON + spot[1], accuracy, fix=fix, event=event))
    return rows


@st.composite
def walks(draw: st.DrawFn) -> list[Row]:
    """Two people who pace, go round or on, now and then with a stop or a ride."""
    rows, at, x, y, heading = [], START, draw(st.sampled_from([300.0, 300.0, 0.0])), 0.0, 0.0
    turn = draw(st.sampled_from([math.pi, 0.9, 0.0]))
    resident = draw(st.sampled_from([7, 8]))
    odd = st.integers(0, 19)
    for _ in range(draw(st.integers(8, 24))):
        at += draw(st.sampled_from([0, 60_000, 120_000, 120_001])) if draw(odd) == 19 else 5_000
        heading += turn + (1.0 if draw(odd) == 19 else 0.0)
        step = draw(st.sampled_from([0.0, 5.9, 6.1, 100.0, 5_000.0])) if draw(odd) == 19 else 10.0
        x, y = x + step * math.cos(heading), y + step * math.sin(heading)
        accuracy = draw(st.sampled_from([math.nan, 7.0, 11.0, 26.0])) if draw(odd) == 19 else 3.0
        fix = draw(st.sampled_from([None, "wifi"])) if draw(odd) == 19 else "gnss"
        device, whose = (2, 15 - resident) if draw(odd) == 19 else (draw(st.integers(0, 1)) + 1, resident)
        rows.append(Row(at, {}, device, whose, LAT + y / 111_195, LON + x / 99_420, accuracy, fix=fix))
    return rows


def each(tell: Callable[[Profile, list[Row], int], list[Told]]) -> Callable[[Sequence[Row], int], list[Told]]:
    """The scalar version over all people."""

    def scalar(rows: Sequence[Row], until: int) -> list[Told]:
        return [
            told
            for person in PEOPLE
            for told in tell(person, [row for row in rows if row.resident == person.key], until)
        ]

    return scalar


def _places(person: Profile, rows: list[Row], until: int) -> list[Told]:
    fixes: list[Fix] = fixes_of(rows, PLACE.accuracy_m)
    return place_triggers(PLACE, person, fixes, until)


def _wandering(person: Profile, rows: list[Row], until: int) -> list[Told]:
    return wandering_triggers(WANDERING, person, good_fixes(rows, WANDERING), until)


PLACES_CASE = Case("place", lambda: [Named("place", Places(PLACE))], stays(), each(_places), profiles=PEOPLE)
WANDERING_CASE = Case(
    "wandering", lambda: [Named("wandering", Wandering(WANDERING))], walks(), each(_wandering), profiles=PEOPLE
)
