"""Far walked, nowhere got to: what is wandering and what is not."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from alerts.rules.pack import load_pack
from alerts.rules.running import Named
from alerts.rules.tracks import pattern
from alerts.rules.wandering import Wandering
from alerts.rules.wandering_rule import WanderingRule, check_wandering
from homecare.errors import InputError
from homecare.residents import Profile
from homecare.triggers import Trigger
from tests.alerts.rules.battery import Case, Row, whole
from tests.alerts.rules.place_cases import LAT, LON, each

RULE = msgspec.convert(load_pack().rules["wandering"]["wandering"], WanderingRule)
NOON = round(datetime(2027, 1, 15, 4, 0, tzinfo=UTC).timestamp() * 1000)
NIGHT = NOON + 12 * 3_600_000
Way = Callable[[float], tuple[float, float]]
"""s -> metres east and north."""


def pacing(t: float) -> tuple[float, float]:
    return 20 - abs(t % 40 - 20), 0.0


def lapping(t: float) -> tuple[float, float]:
    return 12 * math.cos(t / 12), 12 * math.sin(t / 12)


def errand(t: float) -> tuple[float, float]:
    """To the shop, 250 m away, and back."""
    return 250 - abs(t % 500 - 250), 0.0


def lying(t: float) -> tuple[float, float]:
    """A receiver on the table: 8 m this way and that, in minutes."""
    return 8 * math.sin(t / 40), 8 * math.sin(t / 57)


def told(
    way: Way, *, at: int = NOON, minutes: float = 10, home: tuple[float, float] | None = None, accuracy: float = 5,
    fix: str = "gnss", every_s: float = 5, pause: tuple[float, float] = (0, 0),
) -> list[Trigger]:  # fmt: skip
    """What is said of somebody who goes that way at 1 m/s; `pause`: (s, how long) they stand still."""
    lat, lon = home or (None, None)
    rows = []
    for seq, t in enumerate(np.arange(0, 60 * minutes, every_s).tolist()):
        x, y = way(t - min(max(t - pause[0], 0), pause[1]))
        ts = at + round(1000 * t)
        position = LAT + y / 111_195, LON + x / 99_420
        rows.append(Row(ts, {}, 1, 7, *position, accuracy, fix=fix, seq=seq, received=ts + 500))
    case = Case(
        "wandering", lambda: [Named("wandering", Wandering(RULE))], None, each(lambda *_: []),  # type: ignore[arg-type]
        profiles=(Profile(7, "R-7", "520201", lat=lat, lon=lon),),
    )  # fmt: skip
    return whole(case, rows)


@pytest.mark.parametrize(("way", "shape"), [(pacing, "pacing"), (lapping, "lapping")])
def test_to_and_fro_and_round_and_round_tell_once_and_are_over_a_quarter_of_an_hour_later(way: Way, shape: str) -> None:
    raised, cleared = told(way)
    assert (raised.kind, raised.severity, raised.evidence["pattern"]) == ("wander", "warning", shape)
    assert raised.at - NOON < 180_000
    assert (cleared.state, cleared.evidence["raised_at"]) == ("cleared", raised.at)
    assert abs(cleared.at - NOON - 1_500_000) <= 15_000


def test_the_evidence_draws_it_and_the_sentence_says_how_far_within_what() -> None:
    raised, _ = told(pacing)
    path, extent, track = raised.evidence["path_m"], raised.evidence["extent_m"], raised.evidence["track"]
    assert path >= 120
    assert path / extent >= RULE.ratio
    legs = [math.dist((a[0] * 111_195, a[1] * 99_420), (b[0] * 111_195, b[1] * 99_420)) for a, b in pairwise(track)]
    assert sum(legs) == pytest.approx(path, abs=1)
    assert track[-1][2] == raised.at == raised.evidence["position"]["at"]
    assert raised.en == f"Wandering (to and fro): walked {round(path)} m in 2 min within {round(extent)} m"
    assert raised.zh == f"疑似徘徊（来回踱步）：2 分钟内走了 {round(path)} 米，活动范围仅 {round(extent)} 米"


def test_at_night_it_is_urgent() -> None:
    assert told(pacing, at=NIGHT)[0].severity == "urgent"


@pytest.mark.parametrize("way", [errand, lying, lambda t: (t, 0.0), lambda _: (0.0, 0.0)])
def test_going_somewhere_and_back_and_lying_still_are_not(way: Way) -> None:
    assert told(way, minutes=30) == []


def test_a_ride_round_the_block_is_not() -> None:
    assert told(lambda t: (30 * math.cos(t / 4), 30 * math.sin(t / 4)), minutes=20) == []


def test_about_the_house_nobody_looks() -> None:
    assert told(pacing, home=(LAT, LON)) == []
    assert told(pacing, home=(LAT + 0.01, LON)) != []


def test_coarse_fixes_and_those_of_networks_say_nothing() -> None:
    assert told(pacing, accuracy=26) == []
    assert told(pacing, fix="wifi") == []


def test_a_stop_of_two_minutes_begins_a_new_walk() -> None:
    assert [trigger.state for trigger in told(pacing, minutes=4, pause=(90, 60))] == ["raised", "cleared"]
    assert told(pacing, minutes=5, pause=(90, 130)) == []


def test_a_random_walk_has_no_shape() -> None:
    generator = np.random.default_rng(7)
    x, y = (generator.integers(-150, 150, 40) for _ in range(2))
    assert pattern(x, y) == "random"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ratio": 1}, "rule wandering, field ratio: expected 2 to 100, got 1"),
        ({"fastest": 30}, "rule wandering, field fastest: expected 1 to 10, got 30"),
        (
            {"en": "{speed}"},
            "rule wandering, field en: expected a text whose fields are among {duration}, {extent}, {path}, {pattern}, "
            "got '{speed}'",
        ),
    ],
)
def test_a_wrong_number_is_named(change: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as error:
        check_wandering("wandering", msgspec.structs.replace(RULE, **change))
    assert str(error.value) == says
