"""Import and export: a file's entries into the database, all or nothing, and back. Importing twice changes nothing."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
import psycopg
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from homecare.broker import hash_password, verify_password
from homecare.channels import is_sealed, problem, shown_name
from homecare.database import load_queries, require_migrated, unavailable
from homecare.directory.calling import CallEntries, contact_entries, shifts_of, steps_of
from homecare.directory.entries import (
    KINDS,
    Area,
    Channel,
    Contact,
    Device,
    Directory,
    Drill,
    Operator,
    Place,
    Resident,
    ResidentContact,
    Source,
)
from homecare.directory.rules import RuleEntries, place_entries
from homecare.errors import InputError
from homecare.overrides import CheckOverrides
from homecare.secrets import Vault

_SQL = load_queries("homecare.directory")
_HASHER = PasswordHasher()
OfResident = TypeVar("OfResident", ResidentContact, Place)
Outcome = str
"""`added`, `changed` or `unchanged`."""


def import_directory(
    url: str, source: Source, vault: Vault, check: CheckOverrides | None = None
) -> dict[str, Counter[Outcome]]:
    """Write all entries in one transaction; counts of added, changed, unchanged by kind. `check`: for overrides.

    Raises:
        InputError: an entry contradicts another or the database; nothing was written.
        DatabaseUnavailable, NotMigrated: nothing was written.
    """
    with unavailable(), psycopg.connect(url) as db:
        require_migrated(db)
        counts = _Import(db, source, vault, RuleEntries(db, check)).run()
        detail = {kind: dict(count) for kind, count in counts.items()}
        db.execute(_SQL["record"], {"action": "directory.imported", "detail": Jsonb(detail)})
    return counts


class _Import:
    def __init__(self, db: psycopg.Connection, source: Source, vault: Vault, rules: RuleEntries) -> None:
        self._db, self._source, self._vault, self._rules = db, source, vault, rules
        self._calls = CallEntries(db)

    def run(self) -> dict[str, Counter[Outcome]]:
        given = self._source.directory
        writers: dict[str, Callable[[Any], Outcome]] = {
            "areas": self._area,
            "residents": self._resident,
            "contacts": self._contact,
            "devices": self._device,
            "rotas": self._calls.rota,
            "policies": self._calls.policy,
            "operators": self._operator,
            "orders": self._rules.order,
            "overrides": self._rules.override,
            "drills": self._drill,
        }
        counts: dict[str, Counter[Outcome]] = {}
        for kind in KINDS:
            entries = list(enumerate(getattr(given, kind)))
            if not entries:
                continue
            if kind == "resident_contacts":
                counts[kind] = Counter(self._contacts_of(group) for group in _by_resident(entries))
                continue
            if kind == "places":
                counts[kind] = Counter(self._places(group) for group in _by_resident(entries))
                continue
            if kind == "areas":
                entries = _parents_first(entries)
            counts[kind] = Counter(self._put(kind, index, entry, writers[kind]) for index, entry in entries)
        self._rules.refuse_wrong()
        return counts

    def _put(self, kind: str, index: int, entry: Any, write: Callable[[Any], Outcome]) -> Outcome:
        place = self._source.place(kind, index)
        try:
            return write(entry)
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            raise InputError(f"{place}: {_what(error)}") from None

    def _run(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        cursor = self._db.execute(_SQL[query], parameters)
        return cursor.fetchall() if cursor.description else []

    def _upsert(self, query: str, **parameters: object) -> Outcome:
        rows = self._run(query, **parameters)
        return ("added" if rows[0][0] else "changed") if rows else "unchanged"

    def _area(self, area: Area) -> Outcome:
        return self._upsert("put_area", **msgspec.structs.asdict(area))

    def _resident(self, resident: Resident) -> Outcome:
        return self._upsert("put_resident", **msgspec.structs.asdict(resident))

    def _contact(self, contact: Contact) -> Outcome:
        outcome = self._calls.contact(contact)
        stored = {row[0]: row[1:] for row in self._run("channels_of", contact=contact.id)}
        changes = [
            self._channel(contact.id, rank, channel, stored.get(rank))
            for rank, channel in enumerate(contact.channels, start=1)
        ]
        removed = self._run("remove_channels", contact=contact.id, last=len(contact.channels))
        return "changed" if outcome == "unchanged" and (any(changes) or removed) else outcome

    def _channel(self, contact: str, rank: int, channel: Channel, was: tuple[Any, ...] | None) -> bool:
        old = self._vault.open(bytes(was[2])) if was and was[2] is not None else None
        address, secret = channel.address, channel.secret
        if is_sealed(channel.kind) and was and was[:2] == (channel.kind, address):
            return False  # as it was exported, by the name that stands for it
        if wrong := problem(channel.kind, address):
            raise InputError(f"channel {rank}, address: {wrong}")
        if secret is not None and channel.kind != "webhook":
            raise InputError(f"channel {rank}, secret: only a webhook has one")
        if is_sealed(channel.kind):
            address, secret = shown_name(address, self._vault), address
        secret = secret or (old if was and was[1] == address else None)
        if channel.kind == "webhook" and secret is None:
            raise InputError(f"channel {rank}, secret: a new webhook address needs one")
        if was == (channel.kind, address, was and was[2]) and secret == old:
            return False
        row = {
            "contact": contact,
            "rank": rank,
            "kind": channel.kind,
            "address": address,
            "secret": None if secret is None else self._vault.seal(secret),
        }
        if was is None:
            self._run("add_channel", **row)
        else:
            rotated = old is not None and secret != old and was[1] == address
            self._run("change_channel", **row, rotated=rotated)
        return True

    def _contacts_of(self, entries: list[tuple[int, ResidentContact]]) -> Outcome:
        resident = entries[0][1].resident
        stored = self._run("contacts_of", resident=resident)
        wanted = sorted((e.rank, e.contact, e.relation) for _, e in entries)
        if wanted == [(rank, contact, relation) for contact, rank, relation in stored]:
            return "unchanged"
        self._run("remove_contacts", resident=resident)
        for index, entry in entries:
            self._put("resident_contacts", index, entry, self._resident_contact)
        return "changed" if stored else "added"

    def _places(self, entries: list[tuple[int, Place]]) -> Outcome:
        return self._put("places", entries[0][0], [place for _, place in entries], self._rules.places_of)

    def _resident_contact(self, entry: ResidentContact) -> Outcome:
        if not self._run("add_contact", **msgspec.structs.asdict(entry)):
            raise InputError(f"resident: there is no resident {entry.resident}")
        return "added"

    def _device(self, device: Device) -> Outcome:
        outcome = self._upsert(
            "put_device",
            id=device.id,
            area=device.area,
            kind=device.kind,
            model=device.model,
            interval_s=device.interval_s,
            mqtt_password=self._device_hash(device),
        )
        if device.wearer is msgspec.UNSET:
            return outcome
        worn = self._run("worn_by", device=device.id)
        if (worn[0][1] if worn else None) == device.wearer:
            return outcome
        if worn:
            self._run("end_wearing", id=worn[0][0], until=device.since)
        if device.wearer is not None and not self._run(
            "add_wearing", device=device.id, resident=device.wearer, since=device.since
        ):
            raise InputError(f"wearer: there is no resident {device.wearer}")
        return "changed" if outcome == "unchanged" else outcome

    def _device_hash(self, device: Device) -> str | None:
        rows = self._run("password_of_device", id=device.id)
        stored: str | None = rows[0][0] if rows else None
        given = device.password
        if given is None or given == stored:
            return stored
        if given.startswith("$7$"):
            return given
        return stored if stored and verify_password(given, stored) else hash_password(given)

    def _drill(self, drill: Drill) -> Outcome:
        if drill.day is None:
            return "removed" if self._run("remove_drill", area=drill.area) else "unchanged"
        return self._upsert("put_drill", **msgspec.structs.asdict(drill))

    def _operator(self, operator: Operator) -> Outcome:
        rows = self._run("password_of_operator", login=operator.login)
        stored: str | None = rows[0][0] if rows else None
        if operator.password is None and stored is None:
            raise InputError("password: a new operator needs one")
        given = {k: v for k, v in msgspec.structs.asdict(operator).items() if k != "password"}
        return self._upsert("put_operator", **given, password_hash=_operator_hash(operator.password, stored))


def _operator_hash(given: str | None, stored: str | None) -> str | None:
    if given is None or given == stored or given.startswith("$argon2id$"):
        return given or stored
    if stored:
        try:
            _HASHER.verify(stored, given)
        except (VerifyMismatchError, InvalidHashError):
            return _HASHER.hash(given)
        return stored
    return _HASHER.hash(given)


def _parents_first(entries: list[tuple[int, Area]]) -> list[tuple[int, Area]]:
    waiting = {area.code: (index, area) for index, area in entries}
    ordered: list[tuple[int, Area]] = []
    while waiting:
        free = [code for code, (_, area) in waiting.items() if area.parent not in waiting or area.parent == code]
        # In a circle none is free: the database says so of the first.
        ordered += [waiting.pop(code) for code in free or list(waiting)]
    return ordered


def _by_resident(entries: list[tuple[int, OfResident]]) -> Iterable[list[tuple[int, OfResident]]]:
    groups: dict[str, list[tuple[int, OfResident]]] = defaultdict(list)
    for index, entry in entries:
        groups[entry.resident].append((index, entry))
    return groups.values()


def _what(error: psycopg.Error) -> str:
    """The database's objection in a line, with the detail that names the value."""
    said = error.diag.message_detail or error.diag.message_primary or str(error)
    return said.splitlines()[0]


def export_directory(url: str, vault: Vault | None) -> Directory:
    """Everything that is in force now. Webhook secrets only with a `vault`; passwords as hashes.

    Raises:
        DatabaseUnavailable, NotMigrated: it cannot be read.
    """
    with unavailable(), psycopg.connect(url) as db:
        db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        require_migrated(db)

        def rows(query: str, **parameters: object) -> list[dict[str, Any]]:
            return db.cursor(row_factory=dict_row).execute(_SQL[query], parameters).fetchall()

        channels: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows("channels"):
            sealed = row.pop("secret")
            if vault and sealed is not None:
                row["address" if is_sealed(row["kind"]) else "secret"] = vault.open(bytes(sealed))
            channels[row.pop("contact")].append(row)
        found: dict[str, list[dict[str, Any]]] = {kind: rows(kind) for kind in KINDS}
        for contact in found["contacts"]:
            contact["channels"] = channels[contact["id"]]
        contact_entries(found["contacts"])
        for rota in found["rotas"]:
            rota["shifts"] = shifts_of(db, rota["id"])
        for policy in found["policies"]:
            policy["steps"] = steps_of(db, policy["id"])
        place_entries(found["places"])
        db.execute(_SQL["record"], {"action": "directory.exported", "detail": Jsonb({"secrets": vault is not None})})
    return msgspec.convert(found, Directory)
