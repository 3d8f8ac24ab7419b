"""Whom a step reaches at a moment: who is called at once, who after their quiet hours, and which rotas have nobody on duty."""

import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from alerts.channels.console import KIND as CONSOLE
from alerts.circle import Circle, Person, Recipient, Rota, Step, Target
from alerts.duty import on_duty, quiet_until

MOST_OF_A_ROLE = 10
"""A call for help is not announced to a whole village."""
EARTH_RADIUS_M = 6_371_008.8


class Reached(NamedTuple):
    """`later`: with the end of their quiet hours, UTC. `off_duty`: rotas of the step on which nobody is on duty."""

    now: tuple[Recipient, ...]
    later: tuple[tuple[Recipient, datetime], ...] = ()
    off_duty: tuple[str, ...] = ()


class Candidates(NamedTuple):
    """Contacts in the order in which they are wanted, and how many of them (None: all)."""

    contacts: Iterable[str]
    most: int | None = None


def wakes(circle: Circle) -> bool:
    """Whether quiet hours do not hold: for an SOS, a fall, and whatever is critical."""
    return circle.kind in ("sos", "fall") or circle.severity == "critical"


def reach(step: Step, circle: Circle) -> Reached:
    """Each contact by the first usable channel; contacts without one, and targets that nobody fits, reach nobody."""
    now: dict[Recipient, None] = {}
    later: dict[Recipient, datetime] = {}
    off_duty: dict[str, None] = {}
    people = {person.contact: person for person in circle.people}
    channels = {c.contact: c for c in reversed(circle.channels)}
    for target in step.to:
        if target.operators or target.area_up is not None:
            now[operators_above(circle, target.area_up or 0)] = None
            continue
        contacts, most = _candidates(target, circle)
        called = 0
        for contact in contacts:
            if called == most:
                break
            channel = channels.get(contact)
            if channel is None:
                continue
            recipient = Recipient(channel.kind, contact=contact, channel=channel.id)
            person = people.get(contact)
            until = None if person is None or wakes(circle) else quiet_until(person, circle.at)
            if until is not None:
                later[recipient] = until
            else:
                now[recipient] = None
                called += 1
        if target.rota is not None and not _on_rota(target.rota, circle):
            off_duty[target.rota] = None
    return Reached(tuple(now), tuple(later.items()), tuple(off_duty))


def operators(circle: Circle, levels_up: int) -> Recipient:
    """The operators of the alert's area, or of the one `levels_up` above, counting areas that have any.

    Where no area has operators the alert's own is paged all the same: whoever comes to work there finds it.
    """
    staffed = [area.code for area in circle.areas if area.operators] or [area.code for area in circle.areas[:1]]
    area = staffed[min(levels_up, len(staffed) - 1)] if staffed else None
    return Recipient(CONSOLE, area=area)


def operators_above(circle: Circle, levels: int) -> Recipient:
    """The operators of the area `levels` above the alert's (0: its own), or of the first above that which has any.

    Where none has, those nearest below it.
    """
    for area in (*circle.areas[levels:], *reversed(circle.areas[:levels])):
        if area.operators:
            return Recipient(CONSOLE, area=area.code)
    return operators(circle, 0)


def providers(circle: Circle) -> list[Person]:
    """Those who provide the service that was called for: the resident's own first, then the nearest area's upwards."""
    own = {member.contact for member in circle.family}
    distance = {area.code: n for n, area in enumerate(circle.areas)}
    fitting = [
        p
        for p in circle.people
        if circle.service is not None and circle.service in p.services and (p.contact in own or p.area in distance)
    ]
    return sorted(fitting, key=lambda p: (p.contact not in own, distance.get(p.area or "", len(distance)), p.contact))


def _candidates(target: Target, circle: Circle) -> Candidates:
    if target.contact is not None:
        return Candidates((target.contact,))
    if target.contact_rank is not None:
        return Candidates(member.contact for member in circle.family if member.rank == target.contact_rank)
    if target.role is not None:
        return Candidates(_of_role(target.role, circle), MOST_OF_A_ROLE)
    if target.rota is not None:
        return Candidates(_on_rota(target.rota, circle))
    if target.nearest is not None:
        return Candidates(_nearest(target.radius_m or 0.0, circle), target.nearest)
    if target.provider is not None:
        return Candidates(p.contact for p in providers(circle)[target.provider - 1 : target.provider])
    return Candidates(())


def _of_role(role: str, circle: Circle) -> list[str]:
    """Only those who can be reached count: a village doctor without a channel leaves it to the township's."""
    usable = {channel.contact for channel in circle.channels}
    fitting = {p.contact: p for p in circle.people if p.role == role and p.contact in usable}
    if own := [m.contact for m in sorted(circle.family, key=lambda m: m.rank) if m.contact in fitting]:
        return own
    for area in circle.areas:
        if found := sorted(contact for contact, p in fitting.items() if p.area == area.code):
            return found
    return []


def _on_rota(name: str, circle: Circle) -> tuple[str, ...]:
    rota: Rota | None = next((r for r in circle.rotas if r.id == name), None)
    return () if rota is None else on_duty(rota, circle.at)


def _nearest(radius_m: float, circle: Circle) -> Iterator[str]:
    if circle.lat is None or circle.lon is None:
        return
    here = circle.lat, circle.lon
    away = sorted(
        (distance_m(here, (p.lat, p.lon)), p.contact)
        for p in circle.people
        if p.watch_group and p.lat is not None and p.lon is not None
    )
    for metres, contact in away:
        if metres > radius_m:
            return
        yield contact


def distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance of two points in WGS-84 degrees, by the haversine formula, metres."""
    lat, lon, lat_2, lon_2 = map(math.radians, (*one, *other))
    half = math.sin((lat_2 - lat) / 2) ** 2 + math.cos(lat) * math.cos(lat_2) * math.sin((lon_2 - lon) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, half)))
