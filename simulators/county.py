"""The sample directory: one invented county with its townships and villages, 60 residents, 90 devices. Always the same,
but for passwords and secrets, which are the caller's. Every name says that it is a sample.
"""

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from homecare.devices import DeviceKind
from homecare.directory.entries import (
    Area,
    Channel,
    Contact,
    Device,
    Directory,
    Operator,
    Resident,
    ResidentContact,
)
from homecare.directory.policies import Policy, Step, Target
from homecare.triggers import Kind

Role = Literal["family", "neighbour", "village_doctor"]

COUNTY = "990100"
TOWNSHIPS = 4
VILLAGES = 10
RESIDENTS = 60
HANDSETS = 50
"""Of the residents 1 to 50."""
FALL_SENSORS = 30
"""In the homes of the residents 31 to 60: twenty have both."""
CENTRE = (26.6, 104.8)
IN_USE_SINCE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
STEMS, BRANCHES = "甲乙丙丁戊己庚辛壬癸", "子丑寅卯辰巳午未申酉戌亥"
DIRECTIONS = (("东", "East"), ("南", "South"), ("西", "West"), ("北", "North"))

URGENT: list[Kind] = ["sos", "fall", "home"]
EVERYDAY: list[Kind] = ["vital", "change", "score", "routine", "place", "wander", "assist"]
TECHNICAL: list[Kind] = ["silence", "battery", "device", "outage"]


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where what must not be in a program comes from."""

    device_password: Callable[[str], str]
    webhook: Callable[[str], tuple[str, str]]
    """Contact id -> (address, whsec_ secret)."""
    operator_password: str
    first_delay_s: float = 15.0
    """How long the first contact of an urgent alert has before the second is called."""


def sample_county(secrets: Secrets) -> Directory:
    """The whole directory, ready to be imported."""
    return Directory(
        areas=_areas(),
        residents=[_resident(n) for n in range(1, RESIDENTS + 1)],
        contacts=_contacts(secrets),
        resident_contacts=[entry for n in range(1, RESIDENTS + 1) for entry in _resident_contacts(n)],
        devices=_devices(secrets),
        policies=_policies(secrets.first_delay_s),
        operators=[Operator(login="demo", name="示例值班员", area=COUNTY, password=secrets.operator_password)],
    )


def resident_id(n: int) -> str:
    return f"R-{n:06d}"


def handset_id(n: int) -> str:
    """Of resident `n`."""
    return f"HS-{n:04d}"


def fall_sensor_id(n: int) -> str:
    """In the home of resident `n`."""
    return f"FS-{n:04d}"


def kiosk_id(village: int) -> str:
    return f"KS-{village:02d}"


def village_code(village: int) -> str:
    """Of village 1 to 10; the townships have three, three, two and two."""
    return f"{COUNTY}{_township(village):02d}{village:02d}"


def village_of(n: int) -> int:
    """The village resident `n` lives in: six in each."""
    return (n - 1) * VILLAGES // RESIDENTS + 1


def home_of(n: int) -> tuple[float, float]:
    """(lat, lon) of resident `n`, degrees: six homes around each village, ten villages around the centre."""
    village = village_of(n)
    turn, around = 2 * math.pi * village / VILLAGES, 2 * math.pi * (n % 6) / 6
    lat = CENTRE[0] + 0.08 * math.sin(turn) + 0.004 * math.sin(around)
    lon = CENTRE[1] + 0.09 * math.cos(turn) + 0.0045 * math.cos(around)
    return round(lat, 6), round(lon, 6)


def _township(village: int) -> int:
    return (village - 1) * TOWNSHIPS // VILLAGES + 1


def _areas() -> list[Area]:
    areas = [Area(code=COUNTY, level="county", name_zh="示例县", name_en="Sample County")]
    for n, (zh, en) in enumerate(DIRECTIONS, start=1):
        areas.append(
            Area(
                code=f"{COUNTY}{n:02d}",
                parent=COUNTY,
                level="township",
                name_zh=f"示例{zh}乡",
                name_en=f"Sample {en} Township",
            )
        )
    for n in range(1, VILLAGES + 1):
        areas.append(
            Area(
                code=village_code(n),
                parent=f"{COUNTY}{_township(n):02d}",
                level="village",
                name_zh=f"示例{STEMS[n - 1]}村",
                name_en=f"Sample Village {n}",
            )
        )
    return areas


def _resident(n: int) -> Resident:
    lat, lon = home_of(n)
    conditions = [c for c, every in (("hypertension", 2), ("diabetes", 5), ("copd", 11)) if n % every == 0]
    return Resident(
        id=resident_id(n),
        card=f"C{COUNTY}{n:08d}",
        area=village_code(village_of(n)),
        name=f"示例·{_sign(n)}",
        birth_date=dt.date(1932 + n % 25, n % 12 + 1, n % 28 + 1),
        sex="f" if n % 3 else "m",
        phone=f"000-0000-{n:04d}",
        address=f"示例{STEMS[village_of(n) - 1]}村 {(n - 1) % 6 + 1} 号",
        lat=lat,
        lon=lon,
        conditions=conditions,
    )


def _sign(n: int) -> str:
    """One of the sixty signs of the old calendar: plainly no surname."""
    return STEMS[(n - 1) % 10] + BRANCHES[(n - 1) % 12]


def _contacts(secrets: Secrets) -> list[Contact]:
    def contact(ident: str, name: str, role: Role, village: int) -> Contact:
        address, secret = secrets.webhook(ident)
        channels = [Channel(kind="webhook", address=address, secret=secret)]
        return Contact(id=ident, name=name, role=role, area=village_code(village), channels=channels)

    family = [contact(f"C-{n:04d}", f"示例家属·{_sign(n)}", "family", village_of(n)) for n in range(1, RESIDENTS + 1)]
    neighbours = [contact(f"N-{v:02d}", f"示例邻居·{STEMS[v - 1]}", "neighbour", v) for v in range(1, VILLAGES + 1)]
    doctors = [contact(f"D-{v:02d}", f"示例村医·{STEMS[v - 1]}", "village_doctor", v) for v in range(1, VILLAGES + 1)]
    return [*family, *neighbours, *doctors]


def _resident_contacts(n: int) -> list[ResidentContact]:
    village = village_of(n)
    ranked = [(f"C-{n:04d}", "女儿" if n % 2 else "儿子"), (f"N-{village:02d}", "邻居"), (f"D-{village:02d}", "村医")]
    return [
        ResidentContact(resident=resident_id(n), contact=contact, rank=rank, relation=relation)
        for rank, (contact, relation) in enumerate(ranked, start=1)
    ]


def _devices(secrets: Secrets) -> list[Device]:
    def device(ident: str, village: int, kind: DeviceKind, model: str, interval_s: float, wearer: str | None) -> Device:
        return Device(
            id=ident,
            area=village_code(village),
            kind=kind,
            model=model,
            interval_s=interval_s,
            wearer=wearer,
            since=IN_USE_SINCE if wearer else None,
            password=secrets.device_password(ident),
        )

    handsets = [
        device(handset_id(n), village_of(n), "handset", "SIM-H1", 60, resident_id(n)) for n in range(1, HANDSETS + 1)
    ]
    fall_sensors = [
        device(fall_sensor_id(n), village_of(n), "fall_sensor", "SIM-F1", 60, resident_id(n))
        for n in range(RESIDENTS - FALL_SENSORS + 1, RESIDENTS + 1)
    ]
    kiosks = [device(kiosk_id(v), v, "kiosk", "SIM-K1", 300, None) for v in range(1, VILLAGES + 1)]
    return [*handsets, *fall_sensors, *kiosks]


def _policies(first_delay_s: float) -> list[Policy]:
    """Urgent: one contact after the other, then everyone; everyday: the operators, then the family; technical: operators."""
    first, second, third = (Target(contact_rank=rank) for rank in (1, 2, 3))
    operators = Target(operators=True)
    return [
        Policy(
            id="urgent",
            area=COUNTY,
            kinds=URGENT,
            repeat_s=120,
            steps=[
                Step(delay_s=0, to=[first, operators]),
                Step(delay_s=first_delay_s, to=[second]),
                Step(delay_s=30, to=[first, second, third]),
            ],
        ),
        Policy(
            id="everyday",
            area=COUNTY,
            kinds=EVERYDAY,
            repeat_s=1800,
            steps=[Step(delay_s=0, to=[operators]), Step(delay_s=300, to=[first])],
        ),
        Policy(id="technical", area=COUNTY, kinds=TECHNICAL, repeat_s=86_400, steps=[Step(delay_s=0, to=[operators])]),
    ]
