"""False exits from home: whole days at home with the noise of real fixes, and how many real departures are seen.

A day at home is a chain of real stays: stretches of trips where somebody on foot kept within 25 m for a minute or more
(their fixes, the receiver's errors and the steps they took), in random order, each turned at random and laid within
10 m of the middle of a circle of 100 m that must not be left. The rule is the pack's; nothing is chosen on these stays.
`…_indoors` is harsher and simulated: errors that drift with a spread of 25 m, fixes of wireless networks and cells that
are wrong by as much as they say, and satellite fixes that are wrong by 100 to 500 m and do not say so.
`wander_…` counts what is taken for wandering in the same days, of people whose home nobody told the rules: a day of
such stays end to end is a day of walking about a yard without a pause, and is called wandering; the receiver's errors
alone (`indoors`) are not.
A departure is a trip that ended over 250 m from its beginning, with home where it began, and ten minutes' stay there.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from alerts.rules.engine import Engine
from alerts.rules.pack import Pack, build_pack, load_pack
from homecare.messages import FIXES
from homecare.residents import Place, Profile
from homecare.samples import Samples
from homecare.triggers import Trigger
from tests.bench.goals import Goal
from tests.bench.say import say
from tests.quality.goal_gps import LAT, LON, Floats, Track, degrees, tracks

DAYS = 300
RADIUS_M = 100.0
START = 1_795_000_000_000
HOUR_S = 3600
GNSS, WIFI, LBS = (FIXES.index(fix) for fix in ("gnss", "wifi", "lbs"))
GOALS: Mapping[str, Goal] = {
    "geofence_false_exits_per_day": Goal("1", 0.01, "less"),
    "geofence_false_exits_indoors_per_day": Goal("1", None, "less"),
    "wander_yard_per_day": Goal("1", None, "less"),
    "wander_indoors_per_day": Goal("1", None, "less"),
    "geofence_departures_seen": Goal("trips", 0.95),
    "geofence_departure_delay_p50_s": Goal("s", None, "less"),
}


class Fixes(NamedTuple):
    """n fixes of each of m people at the same times: (m, n), times (n,)."""

    t: Floats
    x: Floats
    y: Floats
    accuracy: Floats
    fix: npt.NDArray[np.int8]


def measure() -> dict[str, float]:
    """Every metric of GOALS."""
    trips = tracks()
    generator = np.random.default_rng(20261121)
    stays = [stay for trip in trips for stay in stays_of(trip)]
    hours = 5 * sum(len(x) for x, _ in stays) / HOUR_S
    say(f"{len(stays)} stays of {len(trips)} trips, {hours:.1f} h")
    at_home = Counter(trigger.kind for trigger in raised(map(to_samples, days_of(stays, generator)), DAYS))
    indoors = Counter(trigger.kind for trigger in raised(map(to_samples, indoors_of(generator)), DAYS))
    say(f"{DAYS} days of real noise: {dict(at_home)} raised; simulated indoors: {dict(indoors)}")
    delays = departures(trips)
    seen = delays[~np.isnan(delays)]
    say(f"{len(seen)} of {len(delays)} departures seen")
    return {
        "geofence_false_exits_per_day": at_home["place"] / DAYS,
        "geofence_false_exits_indoors_per_day": indoors["place"] / DAYS,
        "wander_yard_per_day": at_home["wander"] / DAYS,
        "wander_indoors_per_day": indoors["wander"] / DAYS,
        "geofence_departures_seen": len(seen) / len(delays),
        "geofence_departure_delay_p50_s": float(np.median(seen)),
    }


def stays_of(track: Track) -> Iterator[tuple[Floats, Floats]]:
    """(k,), (k,) metres from their middle: k >= 12 fixes on foot in a row that lie within 25 m."""
    on_foot = np.flatnonzero(track.on_foot)
    for run in np.split(on_foot, np.flatnonzero(np.diff(on_foot) > 1) + 1):
        first = 0
        while first < len(run):
            last = first + 1
            while last < len(run) and _width(track, run[first : last + 1]) <= 25:
                last += 1
            if last - first >= 12:
                x, y = track.x[run[first:last]], track.y[run[first:last]]
                yield x - np.median(x), y - np.median(y)
            first = last


def _width(track: Track, rows: npt.NDArray[np.int64]) -> float:
    return float(np.hypot(np.ptp(track.x[rows]), np.ptp(track.y[rows])))


def days_of(stays: Sequence[tuple[Floats, Floats]], generator: np.random.Generator) -> Iterator[Fixes]:
    """DAYS days, hour by hour, a fix every five seconds as they were taken."""
    count = HOUR_S // 5
    for hour in range(24):
        x, y = np.zeros((DAYS, count)), np.zeros((DAYS, count))
        for day in range(DAYS):
            at = 0
            while at < count:
                east, north = stays[int(generator.integers(len(stays)))]
                angle, corner = generator.uniform(0, 2 * np.pi), generator.uniform(-7, 7, 2)
                part = slice(at, min(at + len(east), count))
                east, north = east[: part.stop - at], north[: part.stop - at]
                x[day, part] = corner[0] + east * np.cos(angle) - north * np.sin(angle)
                y[day, part] = corner[1] + east * np.sin(angle) + north * np.cos(angle)
                at = part.stop
        t = np.asarray(hour * HOUR_S + 5.0 * np.arange(count), np.float64)
        yield Fixes(t, x, y, np.full(x.shape, 8.0), np.full(x.shape, GNSS, np.int8))


def indoors_of(generator: np.random.Generator) -> Iterator[Fixes]:
    """DAYS days, hour by hour, a fix a minute."""
    drift = generator.normal(0, 25, (2, DAYS))
    for hour in range(24):
        t = np.asarray(hour * HOUR_S + 60.0 * np.arange(60), np.float64)
        error = np.zeros((2, DAYS, 60))
        for minute in range(60):
            drift = 0.8 * drift + 15 * generator.normal(0, 1, (2, DAYS))  # spread 25 m
            error[:, :, minute] = drift
        accuracy, fix = np.full((DAYS, 60), 20.0), np.full((DAYS, 60), GNSS, np.int8)
        kind = generator.uniform(0, 1, (DAYS, 60))
        for share, source, low, high in ((0.10, WIFI, 40, 100), (0.05, LBS, 200, 2000)):
            chosen = kind < share
            accuracy[chosen], fix[chosen] = generator.uniform(low, high, chosen.sum()), source
            # 68 % within the accuracy: a spread of 1 / 1.51 of it along each axis (Rayleigh).
            error[:, chosen] = generator.normal(0, 1, (2, chosen.sum())) * accuracy[chosen] / 1.51
        lying = kind > 0.995
        angle = generator.uniform(0, 2 * np.pi, lying.sum())
        error[:, lying] = generator.uniform(100, 500, lying.sum()) * np.array([np.cos(angle), np.sin(angle)])
        accuracy[lying] = 10
        yield Fixes(t, error[0], error[1], accuracy, fix)


def departures(trips: Sequence[Track]) -> Floats:
    """(m,) s from the last fix within the circle to the trigger; NaN: none."""
    leaving = [trip for trip in trips if np.hypot(trip.x[-1] - trip.x[0], trip.y[-1] - trip.y[0]) > 250]
    parts, inside = [], np.zeros(len(leaving))
    for number, trip in enumerate(leaving):
        # Ten minutes at home first, so that it is known that they were there, and ten where they went.
        t = np.concatenate([np.arange(-600, 0, 5.0), trip.t, trip.t[-1] + np.arange(5.0, 600, 5)])
        x, y = (
            np.concatenate([np.zeros(120), along - along[0], np.full(119, along[-1] - along[0])])
            for along in (trip.x, trip.y)
        )
        inside[number] = t[np.hypot(x, y) <= RADIUS_M].max()
        shape = (1, len(t))
        fixes = Fixes(t, x[None], y[None], np.full(shape, 8.0), np.full(shape, GNSS, np.int8))
        parts.append(to_samples(fixes, first=number + 1))
    samples = Samples.concatenate(parts)
    told = raised([samples.take(np.argsort(samples.received, kind="stable"))], len(leaving))
    delays = np.full(len(leaving), np.nan)
    for trigger in told:
        if trigger.kind == "place":
            delays[trigger.resident - 1] = (trigger.at - START) / 1000 - inside[trigger.resident - 1]
    return delays


def raised(parts: Iterable[Samples], people: int) -> list[Trigger]:
    """What is raised about leaving the circle and about wandering, of residents 1 to `people`."""
    engine = Engine(only_positions(load_pack()))
    circle = Place("circle", "leave", ((LAT, LON),), RADIUS_M)
    engine.know([Profile(key, f"R-{key}", "990100", places=(circle,)) for key in range(1, people + 1)])
    triggers: list[Trigger] = []
    last = START
    for samples in parts:
        last = int(samples.received.max())
        triggers += engine.apply(samples)
    triggers += engine.sweep(last + 2 * HOUR_S * 1000)
    return [trigger for trigger in triggers if trigger.kind in {"place", "wander"} and trigger.state == "raised"]


def to_samples(fixes: Fixes, first: int = 1) -> Samples:
    """In order of arrival, everybody's fixes of one moment together; of residents from `first` on."""
    people, count = fixes.x.shape
    samples = Samples.empty(people * count)
    samples.resident[:] = samples.device[:] = np.tile(np.arange(first, first + people), count)
    samples.ts[:] = np.repeat(START + np.rint(1000 * fixes.t).astype(np.int64), people)
    samples.received[:] = samples.ts + 500
    samples.seq[:] = np.repeat(np.rint(fixes.t).astype(np.int64) + 1000, people)
    samples.lat[:], samples.lon[:] = degrees(fixes.x.T.ravel(), fixes.y.T.ravel())
    samples.accuracy[:], samples.fix[:] = fixes.accuracy.T.ravel(), fixes.fix.T.ravel()
    return samples


def only_positions(pack: Pack) -> Pack:
    """The pack's rules about positions alone."""
    bare = build_pack({"pack": {"lateness_s": pack.general.lateness_s}}, partial=True)
    return msgspec.structs.replace(bare, rules={name: pack.rules[name] for name in ("place", "wandering")})
