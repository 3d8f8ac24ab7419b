"""Forget a person everywhere in the database, and count what was forgotten.

The log's chain stays whole: the details of its rows are emptied, which its hashes allow for (migration 0012). Whoever calls
this owns the tables, for services may not touch the log.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from homecare.database import load_queries, unavailable
from homecare.errors import InputError

QUERIES = load_queries("homecare.erasure")
SETTLES_S = 5.0
"""How long `ingest` may take to hear of it and to write what it had in hand; the directory's news reach it within a second."""

States = Callable[[bytes, frozenset[int]], tuple[bytes, int]]
"""What the rules kept, and keys of devices or residents -> the same without them, and how many rows that were."""

OF_CASES = (
    ("notifications to contacts who are forgotten too", "notifications_to_contacts"),
    ("errors of deliveries", "attempts"),
    ("notifications' texts", "notifications"),
    ("events' values and positions", "events"),
    ("triggers' evidence", "triggers"),
    ("alerts' texts and positions", "alerts"),
    ("commands and answers", "commands"),
    ("drills", "drills"),
    ("quarantine", "quarantine"),
)
OF_THE_DIRECTORY = (
    ("places", "places"),
    ("orders", "orders"),
    ("overrides of rules", "overrides"),
    ("escalation policies", "policies"),
    ("links to contacts", "contacts_links"),
    ("contacts who were nobody else's", "contacts"),
    ("devices worn", "wearings"),
    ("resident", "resident"),
)


@dataclass(slots=True)
class Erased:
    """How many of what, in the order in which it was done."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, count: int) -> None:
        self.counts[what] = self.counts.get(what, 0) + count


def erase(url: str, resident: str, forget_states: States, *, settles_s: float = SETTLES_S) -> Erased:
    """Forget the resident with this id; returns when nothing of them comes any more.

    Raises:
        InputError: there is no such resident.
        DatabaseUnavailable: it cannot be reached; what was begun is to be done again.
    """
    erased = Erased()
    with unavailable(), psycopg.connect(url, autocommit=True, application_name="homecare erase") as db:
        person = db.execute(QUERIES["person"], {"id": resident}).fetchone()
        if person is None:
            raise InputError(f"there is no resident {resident}")
        key, *names = person
        asked = _asked(db, key, names)
        # Apart, and first, while it is known what to look for: the log is held for this alone, and only shortly.
        _forget_in_log(db, asked, erased)
        with db.transaction():
            db.execute(QUERIES["hold_person"], asked)
            asked = _asked(db, key, names)
            _forget_cases(db, asked, erased)
            _forget_measured(db, asked, erased)
            _forget_states(db, asked, forget_states, erased)
            for what, query in OF_THE_DIRECTORY:
                erased.add(what, db.execute(QUERIES[query], asked).rowcount)
            db.execute(QUERIES["record"], {"detail": Jsonb({k: n for k, n in erased.counts.items() if n})})
        row = db.execute(QUERIES["services_at_work"]).fetchone()
        if row is not None and row[0]:
            time.sleep(settles_s)
        _forget_in_log(db, asked, erased)
        with db.transaction():
            _forget_measured(db, asked, erased)
            _forget_states(db, asked, forget_states, erased)
    return erased


def _asked(db: Connection, key: int, names: list[str | None]) -> dict[str, Any]:
    """What the queries are asked with. `names`: id, card, name, telephone, address."""

    def column(query: str) -> list[Any]:
        return [value for (value,) in db.execute(QUERIES[query], {"key": key}).fetchall()]

    contacts = column("contacts_of_person")
    return {
        "key": key,
        "whole": [name for name in names[:3] if name],
        "within": [name for name in names[3:] if name],
        "devices": column("devices_of_person"),
        "worn": column("devices_worn"),
        "alerts": column("alerts_of_person"),
        "contacts": contacts,
        "actors": [f"contact:{contact}" for contact in contacts],
    }


def _forget_in_log(db: Connection, asked: Mapping[str, Any], erased: Erased) -> None:
    with db.transaction():
        db.execute(QUERIES["open_the_log"])
        erased.add("details in the log", db.execute(QUERIES["log_details"], asked).rowcount)
        db.execute(QUERIES["close_the_log"])


def _forget_cases(db: Connection, asked: Mapping[str, Any], erased: Erased) -> None:
    erased.add("open alerts, closed", db.execute(QUERIES["close_alerts"], asked).rowcount)
    db.execute(QUERIES["stop_escalation"], asked)
    for what, query in OF_CASES:
        erased.add(what, db.execute(QUERIES[query], asked).rowcount)


def _forget_measured(db: Connection, asked: Mapping[str, Any], erased: Erased) -> None:
    row = db.execute(QUERIES["samples"], asked).fetchone()
    erased.add("samples", row[0] if row else 0)
    erased.add("windows of acceleration", db.execute(QUERIES["acceleration"], asked).rowcount)
    erased.add("latest readings", db.execute(QUERIES["latest"], asked).rowcount)
    row = db.execute(QUERIES["rollups_kept_by_product"]).fetchone()
    if row is not None and row[0]:
        erased.add("hours and days", db.execute(QUERIES["rollups"], asked).rowcount)
        return
    for schema, table in db.execute(QUERIES["materialized_rollups"]).fetchall():
        statement = sql.SQL("delete from {} where resident = {}").format(
            sql.Identifier(schema, table), sql.Literal(asked["key"])
        )
        erased.add("hours and days", db.execute(statement).rowcount)


def _forget_states(db: Connection, asked: Mapping[str, Any], forget: States, erased: Erased) -> None:
    """What the rules kept of the person, and of the devices they wear."""
    keys = {"residents": frozenset({asked["key"]}), "devices": frozenset(asked["worn"])}
    for shard, operator, part, state in db.execute(QUERIES["kept_states"]).fetchall():
        whose = operator.rpartition(" of ")[2]
        if whose not in keys:
            continue
        rest, count = forget(bytes(state), keys[whose])
        if count:
            where = {"shard": shard, "operator": operator, "part": part}
            db.execute(QUERIES["keep_state"], {**where, "state": rest})
            erased.add("what the rules kept", count)
