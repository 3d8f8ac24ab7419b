"""Silences and outages once more, one device at a time in plain Python: what `silence.Silence` must equal.

Time goes on from look to look at the clock; between them only what was heard counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from alerts.rules.silence_rule import SilenceRule
from homecare.devices import RegisteredDevice


@dataclass(frozen=True)
class Heard:
    """Data of a device came."""

    device: int
    at: int


@dataclass(frozen=True)
class Look:
    """A sweep."""

    now: int


@dataclass(frozen=True)
class Gone:
    """A device is revoked."""

    device: int


@dataclass(frozen=True)
class Deaf:
    """Nobody could be heard before."""

    until: int


Step = Heard | Look | Gone | Deaf
Said = tuple[int, str, str, str]
"""(at, who: a device's id or an area's code, state, severity)."""


@dataclass
class Watched:
    """What is known of one device."""

    device: RegisteredDevice
    allowed: int
    interval: int
    heard: int | None = None
    counted: int | None = None
    """From when its allowance counts; None: it is not watched."""
    silent_at: int | None = None
    fell: int = 0
    """When it counts as fallen silent: later than `silent_at` if it could not be heard."""
    until: int = 0
    state: str = "awake"


@dataclass
class Outage:
    """Of an area."""

    since: int
    inside: set[int]
    peak: int
    band: int


@dataclass
class County:
    """All devices, by key, and the areas that have an outage."""

    rule: SilenceRule
    devices: dict[int, Watched]
    outages: dict[str, Outage] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    untold: list[tuple[int | None, str]] = field(default_factory=list)
    """Silences that a revocation ended: told with the next look."""
    listening_since: int = -(2**62)

    def neighbours(self, area: str) -> list[Watched]:
        return [one for one in self.devices.values() if one.device.area == area]


def silence_said(rule: SilenceRule, devices: Sequence[RegisteredDevice], steps: Sequence[Step]) -> list[Said]:
    """All that is said, in any order."""
    watched = {}
    for device in devices:
        since = device.wearings[-1].since if device.wearings else None
        allowed = round(1000 * max(rule.floor_s, rule.intervals * device.interval_s))
        watched[device.key] = Watched(device, allowed, round(1000 * device.interval_s), since, since)
    county = County(rule, watched)
    for step in steps:
        match step:
            case Heard():
                _hear(county, county.devices[step.device], step.at)
            case Look():
                _look(county, step.now)
            case Deaf():
                county.listening_since = step.until
            case Gone():
                _leave(county, step.device)
    return sorted(county.said)


def _hear(county: County, one: Watched, at: int) -> None:
    if one.state == "gone":
        return
    if one.state == "told":
        county.said.append((at, one.device.id, "cleared", county.rule.severity))
    was, one.state = one.state, "awake"
    one.heard = one.counted = at if one.counted is None else max(one.counted, at)
    if was == "inside":
        outage = county.outages[one.device.area]
        outage.inside.remove(one.device.key)
        _settle(county, one.device.area, at)


def _leave(county: County, key: int) -> None:
    one = county.devices[key]
    if one.state == "told":
        county.untold.append((None, one.device.id))
    if one.state == "inside":
        county.outages[one.device.area].inside.remove(key)
    one.state, one.counted = "gone", None


def _settle(county: County, area: str, at: int) -> None:
    """The outage is over once few enough are silent in it; these are on their own from then on."""
    assert county.rule.together is not None
    outage = county.outages[area]
    band = county.rule.together.bands[outage.band - 1]
    if len(outage.inside) > (1 - county.rule.together.back) * outage.peak + 1e-9:
        return
    county.said.append((at, area, "cleared", band.severity))
    del county.outages[area]
    for key in outage.inside:
        one = county.devices[key]
        one.state, one.fell, one.until = "held", at, at + _hold(county, one)


def _hold(county: County, one: Watched) -> int:
    together = county.rule.together
    if together is None:
        return 0
    if sum(other.state != "gone" for other in county.neighbours(one.device.area)) < together.bands[0].devices:
        return 0
    return max(round(1000 * together.gather_s), int(together.gather_intervals * one.interval))


def _look(county: County, now: int) -> None:
    for _, who in county.untold:
        county.said.append((now, who, "cleared", county.rule.severity))
    county.untold.clear()
    for area in list(county.outages):
        _settle(county, area, now)
    # Who fell silent since: joins an outage, or is held.
    fallen = []
    for one in county.devices.values():
        if one.state == "awake" and one.counted is not None:
            due = max(one.counted, county.listening_since) + one.allowed
            if due < now:
                one.state, one.silent_at, one.fell = "held", one.counted + one.allowed, due
                one.until = due + _hold(county, one)
                fallen.append(one)
    for one in sorted(fallen, key=lambda one: one.fell):
        if one.device.area in county.outages:
            _join(county, one)
    # Whose time is up, the first of each area first.
    for one in sorted(county.devices.values(), key=lambda one: (one.until, one.device.key)):
        if one.state == "held" and one.until < now:
            _decide(county, one)


def _decide(county: County, one: Watched) -> None:
    together, area = county.rule.together, one.device.area
    held = [other for other in county.neighbours(area) if other.state == "held"]
    with_it = [other for other in held if other.fell <= one.until]
    assert one.counted is not None
    missed = one.counted + one.interval
    heard = [
        other
        for other in county.neighbours(area)
        if (other.state == "awake" or (other.state == "held" and other.fell > one.until))
        and (other.heard or 0) > missed
    ]
    if (
        together is None
        or len(with_it) < together.bands[0].devices
        or len(with_it) < together.share * (len(with_it) + len(heard))
    ):
        one.state = "told"
        assert one.silent_at is not None
        county.said.append((one.silent_at, one.device.id, "raised", county.rule.severity))
        return
    band = sum(len(with_it) >= step.devices for step in together.bands)
    county.outages[area] = Outage(one.until, {other.device.key for other in with_it}, len(with_it), band)
    for other in with_it:
        other.state = "inside"
    county.said.append((one.until, area, "raised", together.bands[band - 1].severity))
    for other in sorted(held, key=lambda other: other.fell):
        if other.state == "held":
            _join(county, other)


def _join(county: County, one: Watched) -> None:
    assert county.rule.together is not None
    outage, bands = county.outages[one.device.area], county.rule.together.bands
    one.state = "inside"
    outage.inside.add(one.device.key)
    outage.peak = max(outage.peak, len(outage.inside))
    if outage.band < len(bands) and len(outage.inside) >= bands[outage.band].devices:
        outage.band += 1
        county.said.append((one.fell, one.device.area, "raised", bands[outage.band - 1].severity))
