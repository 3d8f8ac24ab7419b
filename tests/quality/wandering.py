"""Wandering on real tracks: pacing, lapping and roaming laid over half of the trips, nothing over the others.

The trips are delivery rounds: people who walk to a door and back again and again, much closer to wandering than an
errand is. A trip with wandering goes as it went until some moment on foot, then the person wanders there for 5 to 7
minutes (shapes below, with the noise of that very trip's fixes on them), then the trip goes on. Each trip serves once
in either half. `ratio` is chosen on the other folds' trips: the smallest that raises nothing there, and a step more.
False alarms are counted over all trips as they went, rides included; a day of wear has `OUT_H` hours out of the home
(an assumption: at home a receiver lies or is left out of account), `…_track_day` is the same for 24 hours of trips.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from alerts.rules.pack import Pack, build_pack, load_pack
from alerts.rules.wandering_rule import WanderingRule
from homecare.commands.backtest_replay import Names, Replay
from homecare.messages import Inbound
from tests.bench.goals import Goal
from tests.bench.say import say
from tests.quality.goal_gps import Floats, Track, degrees, tracks

OUT_H = 2.0
FOLDS = 5
FARTHER = 1.5
"""`far_ratio` is `ratio` and this."""
RATIOS = (4.5, 4.75, 5.0, 5.25, 5.5, 5.75, 6.0, 6.5, 7.0)
SHAPES = ("pacing", "lapping", "random")
START = 1_795_000_000_000
GOALS: Mapping[str, Goal] = {
    "wander_recall": Goal("tracks", 0.90),
    "wander_false_alarms_per_day": Goal("1", 0.05, "less"),
    "wander_false_alarms_per_track_day": Goal("1", None, "less"),
    **{f"wander_recall_{shape}": Goal("tracks") for shape in SHAPES},
    "wander_pack_recall": Goal("tracks"),
    "wander_pack_false_alarms_per_day": Goal("1", None, "less"),
    "wander_delay_p50_s": Goal("s", None, "less"),
}


class Walk(NamedTuple):
    """A track as it is sent; `shape` None: as it went. `began`: s, when the wandering did."""

    trip: str
    shape: str | None
    began: float
    t: Floats
    x: Floats
    y: Floats

    @property
    def device(self) -> str:
        return f"w-{self.trip}-{self.shape or 'none'}"


def measure() -> dict[str, float]:
    """Every metric of GOALS."""
    trips = tracks()
    walks = [as_it_went(trip) for trip in trips]
    generator = np.random.default_rng(20261121)
    walkers = [trip for trip in trips if trip.on_foot.sum() >= 12]
    walks += [with_wandering(trip, SHAPES[n % 3], generator) for n, trip in enumerate(walkers)]
    messages = sorted((message for walk in walks for message in sent(walk)), key=lambda message: message.received)
    raised = {ratio: replay(at_ratio(ratio), messages) for ratio in RATIOS}
    hours = sum(float(trip.t[-1]) for trip in trips) / 3600
    fold_of = {trip.trip: fold for fold, trip in enumerate(generator.permutation(np.array(trips, object)).tolist())}
    judged: dict[str, float] = {}
    for fold in range(FOLDS):
        ratio = choose(walks, raised, without=[trip for trip, n in fold_of.items() if n % FOLDS == fold])
        held_out = [walk for walk in walks if fold_of[walk.trip] % FOLDS == fold]
        say(f"fold {fold}: ratio {ratio}, {len(held_out)} tracks")
        judged |= {walk.device: raised[ratio].get(walk.device, math.inf) for walk in held_out}
    pack = replay(only_wandering(load_pack()), messages)
    say(f"{len(trips)} trips ({hours:.1f} h), {len(walkers)} with wandering")
    for walk in walks:
        if walk.shape is None and judged[walk.device] < math.inf:
            say(f"false alarm: trip {walk.trip}")
    return figures(walks, judged, pack, hours)


def figures(
    walks: Sequence[Walk], judged: Mapping[str, float], pack: Mapping[str, float], hours: float
) -> dict[str, float]:
    """The metrics, of what was raised when (s) on held-out tracks, and by the pack."""
    wandering = [walk for walk in walks if walk.shape]
    found = [judged[walk.device] - walk.began for walk in wandering if judged[walk.device] < math.inf]
    false = sum(judged[walk.device] < math.inf for walk in walks if not walk.shape)
    pack_false = sum(walk.device in pack for walk in walks if not walk.shape)
    result = {
        "wander_recall": len(found) / len(wandering),
        "wander_false_alarms_per_day": false / hours * OUT_H,
        "wander_false_alarms_per_track_day": false / hours * 24,
        "wander_pack_recall": sum(walk.device in pack for walk in wandering) / len(wandering),
        "wander_pack_false_alarms_per_day": pack_false / hours * OUT_H,
        "wander_delay_p50_s": float(np.median(found)),
    }
    for shape in SHAPES:
        of = [judged[walk.device] < math.inf for walk in wandering if walk.shape == shape]
        result[f"wander_recall_{shape}"] = sum(of) / len(of)
    return result


def choose(walks: Sequence[Walk], raised: Mapping[float, Mapping[str, float]], without: Sequence[str]) -> float:
    """The smallest ratio that raises nothing on the other trips as they went, and one step more."""
    others = [walk.device for walk in walks if walk.shape is None and walk.trip not in set(without)]
    silent = [n for n, ratio in enumerate(RATIOS) if not any(device in raised[ratio] for device in others)]
    return RATIOS[min(min(silent, default=len(RATIOS)) + 1, len(RATIOS) - 1)]


def replay(pack: Pack, messages: Sequence[Inbound]) -> dict[str, float]:
    """Device -> s since its start at which wandering was first told."""
    run = Replay(pack)
    names = Names(run.registry)
    told: dict[str, float] = {}
    for triggers in (run.take(messages), run.end()):
        for trigger in triggers:
            if trigger.kind == "wander":
                told.setdefault(names.device(trigger.device), (trigger.at - START) / 1000)
    return told


def only_wandering(pack: Pack) -> Pack:
    """The pack without its other rules."""
    bare = build_pack({"pack": {"lateness_s": pack.general.lateness_s}}, partial=True)
    return msgspec.structs.replace(bare, rules={"wandering": pack.rules["wandering"]})


def at_ratio(ratio: float) -> Pack:
    """The pack's wandering alone, with this `ratio`."""
    pack = only_wandering(load_pack())
    rule = msgspec.convert(pack.rules["wandering"]["wandering"], WanderingRule)
    rules = {"wandering": {"wandering": msgspec.structs.replace(rule, ratio=ratio, far_ratio=ratio + FARTHER)}}
    return msgspec.structs.replace(pack, rules=rules)


def as_it_went(track: Track) -> Walk:
    """Nothing laid over."""
    return Walk(track.trip, None, 0, track.t, track.x, track.y)


def with_wandering(track: Track, shape: str, generator: np.random.Generator) -> Walk:
    """`shape` laid over the track at one of its moments on foot."""
    at = int(generator.choice(np.flatnonzero(track.on_foot)))
    count = int(generator.integers(60, 85))
    east, north = wander(shape, np.linspace(5.0, 5.0 * count, count), generator)
    noise = [np.resize(along, count) for along in track.noise]
    t = np.concatenate(
        [track.t[: at + 1], track.t[at] + 5.0 * np.arange(1, count + 1), track.t[at + 1 :] + 5.0 * count]
    )
    x = np.concatenate([track.x[: at + 1], track.x[at] + east + noise[0], track.x[at + 1 :]])
    y = np.concatenate([track.y[: at + 1], track.y[at] + north + noise[1], track.y[at + 1 :]])
    return Walk(track.trip, shape, float(track.t[at]), t, x, y)


def wander(shape: str, t: Floats, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """(n,), (n,) metres from where it began, at 0.8 to 1.3 m/s: legs of 10 to 25 m, or rings of 6 to 15 m radius, or
    turns every 5 to 20 m within 8 to 20 m of the beginning.
    """
    speed, angle = generator.uniform(0.8, 1.3), generator.uniform(0, 2 * math.pi)
    way = speed * t
    if shape == "pacing":
        leg = generator.uniform(10, 25)
        out = leg - np.abs(way % (2 * leg) - leg)
        return out * math.cos(angle), out * math.sin(angle)
    if shape == "lapping":
        radius, flat = generator.uniform(6, 15), generator.uniform(0.5, 1)
        turn = way / radius * generator.choice([-1, 1])
        return radius * (np.cos(turn) - 1), flat * radius * np.sin(turn)
    return roam(way, generator.uniform(8, 20), generator)


def roam(way: Floats, within: float, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Straight for a while, then another way; back towards the middle where it would lead out."""
    places = [np.zeros(2)]
    heading, left = generator.uniform(0, 2 * math.pi), 0.0
    for step in np.diff(way, prepend=0.0).tolist():
        left -= step
        if left <= 0:
            heading, left = generator.uniform(0, 2 * math.pi), generator.uniform(5, 20)
        there = places[-1] + step * np.array([math.cos(heading), math.sin(heading)])
        if math.hypot(*there) > within:
            heading = math.atan2(-places[-1][1], -places[-1][0]) + generator.normal(0, 0.7)
            there = places[-1] + step * np.array([math.cos(heading), math.sin(heading)])
        places.append(there)
    return np.array(places)[1:, 0], np.array(places)[1:, 1]


def sent(walk: Walk) -> list[Inbound]:
    """The track as a device sends it, a message a fix."""
    lat, lon = degrees(walk.x, walk.y)
    messages = []
    for seq, (s, north, east) in enumerate(zip(walk.t.tolist(), lat.tolist(), lon.tolist(), strict=True)):
        at = START + round(1000 * s)
        position = {"lat": round(north, 7), "lon": round(east, 7), "accuracy": 5, "fix": "gnss"}
        payload = msgspec.json.encode({"boot": 1, "seq": seq, "ts": at, "position": position})
        messages.append(Inbound(f"care/v1/990100/{walk.device}/telemetry", payload, at + 500))
    return messages
