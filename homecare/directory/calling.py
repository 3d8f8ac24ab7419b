"""Import and export of who is called: contacts' own members, rotas, policies."""

from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from homecare.database import load_queries
from homecare.directory.entries import Contact
from homecare.directory.policies import DAYS, Policy, Rota, Shift
from homecare.errors import InputError

_SQL = load_queries("homecare.directory")
Outcome = str


class CallEntries:
    """Writes them in the transaction of `db`."""

    def __init__(self, db: psycopg.Connection) -> None:
        self._db = db

    def contact(self, contact: Contact) -> Outcome:
        """The contact without the channels."""
        row = {k: v for k, v in msgspec.structs.asdict(contact).items() if k not in ("channels", "quiet")}
        quiet_from, quiet_to = (None, None) if contact.quiet is None else map(_minute, contact.quiet.split("-"))
        return self._upsert("put_contact", **row, quiet_from=quiet_from, quiet_to=quiet_to)

    def rota(self, rota: Rota) -> Outcome:
        """A file states all shifts of a rota."""
        outcome = self._upsert("put_rota", id=rota.id, area=rota.area, name=rota.name, timezone=rota.timezone)
        wanted = [_shift_row(shift) for shift in rota.shifts]
        stored = [_shift_row(shift) for shift in shifts_of(self._db, rota.id)]
        if wanted == stored:
            return outcome
        self._db.execute(_SQL["remove_shifts"], {"rota": rota.id})
        for n, row in enumerate(wanted, start=1):
            self._db.execute(_SQL["add_shift"], {**row, "rota": rota.id, "n": n})
        return "changed" if outcome == "unchanged" else outcome

    def policy(self, policy: Policy) -> Outcome:
        """A file states all steps of a policy. InputError where its last step can reach nobody."""
        row = {name: value for name, value in msgspec.structs.asdict(policy).items() if name != "steps"}
        outcome = self._upsert("put_policy", **row)
        asked = [
            {"delay_s": s.delay_s, "to": [msgspec.structs.asdict(target) for target in s.to]} for s in policy.steps
        ]
        if asked != steps_of(self._db, policy.id):
            self._db.execute(_SQL["remove_steps"], {"policy": policy.id})
            for number, step in enumerate(policy.steps, start=1):
                place = {"policy": policy.id, "step": number}
                self._db.execute(_SQL["add_step"], place | {"delay_s": step.delay_s})
                for n, target in enumerate(step.to, start=1):
                    self._db.execute(_SQL["add_target"], place | {"n": n} | msgspec.structs.asdict(target))
            outcome = "changed" if outcome == "unchanged" else outcome
        reaches = self._db.execute(_SQL["last_step_reaches"], {"policy": policy.id}).fetchone()
        if reaches is None or not reaches[0]:
            raise InputError("steps: the last one can reach nobody: name somebody with a channel, or operators")
        return outcome

    def _upsert(self, query: str, **row: object) -> Outcome:
        put = self._db.execute(_SQL[query], row).fetchone()
        return "unchanged" if put is None else "added" if put[0] else "changed"


def contact_entries(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table as entries."""
    for row in rows:
        begins, ends = row.pop("quiet_from"), row.pop("quiet_to")
        row["quiet"] = None if begins is None else f"{_clock(begins)}-{_clock(ends)}"
    return rows


def shifts_of(db: psycopg.Connection, rota: str) -> list[Shift]:
    """The stored shifts of a rota, in their order."""
    shifts = []
    for contact, days, from_minute, to_minute, starts, ends in db.execute(_SQL["shifts_of"], {"rota": rota}):
        if days is None:
            shifts.append(Shift(contact, f"{starts:%Y-%m-%dT%H:%M}", f"{ends:%Y-%m-%dT%H:%M}"))
        else:
            shifts.append(Shift(contact, _clock(from_minute), _clock(to_minute), [DAYS[day - 1] for day in days]))
    return shifts


def steps_of(db: psycopg.Connection, policy: str) -> list[dict[str, Any]]:
    """The stored steps of a policy, in their order."""
    steps: dict[int, dict[str, Any]] = {}
    cursor = db.cursor(row_factory=dict_row).execute(_SQL["targets_of"], {"policy": policy})
    for row in cursor:
        step = steps.setdefault(row.pop("step"), {"delay_s": row["delay_s"], "to": []})
        row.pop("delay_s")
        if any(row.values()):
            step["to"].append(row)
    return list(steps.values())


def _shift_row(shift: Shift) -> dict[str, Any]:
    weekly = bool(shift.days)
    return {
        "contact": shift.contact,
        "days": sorted({DAYS.index(day) + 1 for day in shift.days}) if weekly else None,
        "from_minute": _minute(shift.begins) if weekly else None,
        "to_minute": _minute(shift.ends) if weekly else None,
        "starts": None if weekly else shift.begins,
        "ends": None if weekly else shift.ends,
    }


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return 60 * int(hours) + int(minutes)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
