"""Directory entries as CSV: one file per kind, known by its header; several rows for what is a list in JSON.

A contact has a row per channel, a rota a row per shift, a policy a row per step, its targets like `rank:1 contact:C-7 operators`
or `role:village_doctor rota:night nearest:3@800 provider:1 area_up:1`.
A place's points are `lat lon;lat lon;…`, an override's value is JSON, empty for null.
Lists (`conditions`, `kinds`, `services`, `days`) are separated by `;`. An empty cell is a member that is left out, but an empty `wearer` is null.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homecare.directory.entries import KINDS, Contact, Directory, Place, RuleOverride, Source
from homecare.directory.policies import Policy, Rota, Target
from homecare.errors import InputError

Row = dict[str, str]
Entry = dict[str, Any]

COLUMNS: dict[str, tuple[str, ...]] = {
    "areas": ("code", "parent", "level", "name_zh", "name_en", "timezone"),
    "residents": (
        "id",
        "card",
        "area",
        "name",
        "birth_date",
        "sex",
        "phone",
        "address",
        "lat",
        "lon",
        "language",
        "conditions",
    ),
    "contacts": (
        "id",
        "name",
        "role",
        "area",
        "phone",
        "language",
        "channel_kind",
        "address",
        "secret",
        "quiet",
        "watch_group",
        "lat",
        "lon",
        "services",
        "accept_within_s",
        "done_within_s",
    ),
    "resident_contacts": ("resident", "contact", "rank", "relation"),
    "devices": ("id", "area", "kind", "model", "interval_s", "wearer", "since", "password"),
    "rotas": ("id", "area", "name", "timezone", "contact", "days", "begins", "ends"),
    "policies": ("id", "area", "resident", "kinds", "repeat_s", "answer_s", "delay_s", "to"),
    "operators": ("login", "name", "role", "area", "language", "password"),
    "places": ("resident", "name", "watch", "points", "radius_m", "by"),
    "orders": ("resident", "what", "by", "at", "until"),
    "overrides": ("area", "resident", "rule", "field", "value", "by"),
    "drills": ("area", "day", "begins", "ends", "per_minute", "answer_hours"),
}
REQUIRED: dict[str, frozenset[str]] = {
    "areas": frozenset({"code", "level", "name_zh"}),
    "residents": frozenset({"id", "area", "name"}),
    "contacts": frozenset({"id", "name", "role"}),
    "resident_contacts": frozenset({"resident", "contact", "rank"}),
    "devices": frozenset({"id", "area", "kind"}),
    "rotas": frozenset({"id", "area", "name", "contact", "begins", "ends"}),
    "policies": frozenset({"id", "delay_s", "to"}),
    "operators": frozenset({"login", "name"}),
    "places": frozenset({"resident", "name", "watch", "points"}),
    "orders": frozenset({"resident", "what", "by", "at"}),
    "overrides": frozenset({"rule", "field", "value"}),
    "drills": frozenset({"area", "day"}),
}
KEYS: dict[str, tuple[str, ...]] = {
    "areas": ("code",),
    "resident_contacts": ("resident", "rank"),
    "operators": ("login",),
    "places": ("resident", "name", "watch"),
    "orders": ("resident", "what", "at"),
    "overrides": ("area", "resident", "rule", "field"),
    "drills": ("area",),
} | dict.fromkeys(("residents", "contacts", "devices", "rotas", "policies"), ("id",))
"""What makes two rows speak of the same entry."""
LISTS = ("conditions", "kinds", "services", "days")
PARTS = {"contacts": "channels", "rotas": "shifts", "policies": "steps"}
"""What further rows of the same entry add."""
SHIFT = ("contact", "days", "begins", "ends")
TARGETS = {
    "rank": "contact_rank",
    "contact": "contact",
    "role": "role",
    "rota": "rota",
    "provider": "provider",
    "area_up": "area_up",
}
"""A target's word in a cell, and its member."""
CHANNEL = {"channel_kind": "kind", "address": "address", "secret": "secret"}


def read(path: Path, text: str) -> Source:
    """The entries of one CSV file. InputError names the line and the column."""
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    kind = _kind(path, reader.fieldnames or ())
    entries: dict[str, Entry] = {}
    places: dict[str, str] = {}
    try:
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            if None in row.values() or "" in row:
                raise InputError(f"{place}: expected {len(reader.fieldnames or ())} cells")
            _add(kind, {column: cell.strip() for column, cell in row.items()}, place, entries, places)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from None
    directory = Directory()
    decoded = []
    element = msgspec.inspect.type_info(Directory).fields[KINDS.index(kind)].type.item_type.cls  # type: ignore[attr-defined]
    for key, entry in entries.items():
        try:
            decoded.append(msgspec.convert(entry, element, strict=False))
        except msgspec.ValidationError as error:
            problem, _, member = str(error).replace("`", "").partition(" - at $.")
            problem = problem[:1].lower() + problem[1:]
            raise InputError(f"{places[key]} ({key}){member and ', '}{member}: {problem}") from None
    setattr(directory, kind, decoded)
    return Source(directory, {kind: list(places.values())})


def text(kind: str, directory: Directory) -> str:
    """The CSV of one kind, header first."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS[kind], lineterminator="\n")
    writer.writeheader()
    for entry in getattr(directory, kind):
        writer.writerows(_rows(entry))
    return out.getvalue()


def _kind(path: Path, header: Sequence[str]) -> str:
    columns = {column.strip() for column in header}
    fitting = [kind for kind in KINDS if REQUIRED[kind] <= columns <= set(COLUMNS[kind])]
    if path.stem in fitting:
        return path.stem
    if len(fitting) == 1:
        return fitting[0]
    likely = path.stem if path.stem in COLUMNS else next((k for k in KINDS if REQUIRED[k] <= columns), "")
    if likely:
        wrong = sorted(columns - set(COLUMNS[likely])) or sorted(REQUIRED[likely] - columns)
        raise InputError(
            f"{path}, line 1: column {', '.join(wrong)} does not fit; {likely} has {', '.join(COLUMNS[likely])}"
        )
    raise InputError(f"{path}, line 1: expected the header of one of {', '.join(KINDS)}")


def _add(kind: str, row: Row, place: str, entries: dict[str, Entry], places: dict[str, str]) -> None:
    key = "/".join(row[column] for column in KEYS[kind] if row.get(column))
    entry = _entry(row)
    if kind == "contacts":
        channel = {member: entry.pop(column) for column, member in CHANNEL.items() if column in entry}
        entry["channels"] = [channel] if channel else []
    elif kind == "rotas":
        entry["shifts"] = [{member: entry.pop(member) for member in SHIFT if member in entry}]
    elif kind == "policies":
        step = {"delay_s": entry.pop("delay_s", None), "to": _targets(entry.pop("to", ""), place)}
        entry["steps"] = [step]
    elif kind == "places":
        entry["points"] = [_point(point, place) for point in row["points"].split(";") if point.strip()]
    elif kind == "overrides":
        entry["value"] = _json(row["value"], place)
    if key in entries:
        more = PARTS.get(kind)
        if more is None:
            raise InputError(f"{place}: {key} is already stated at {places[key]}")
        if {k: v for k, v in entry.items() if k != more} != {k: v for k, v in entries[key].items() if k != more}:
            raise InputError(f"{place}: {key} differs from {places[key]}; further rows only add {more}")
        entries[key][more] += entry[more]
        return
    entries[key], places[key] = entry, place


def _entry(row: Row) -> Entry:
    entry: Entry = {}
    for column, cell in row.items():
        if cell:
            entry[column] = [part.strip() for part in cell.split(";") if part.strip()] if column in LISTS else cell
        elif column == "wearer":
            entry[column] = None
    return entry


def _targets(cell: str, place: str) -> list[Entry]:
    targets: list[Entry] = []
    for word in cell.split():
        name, colon, value = word.partition(":")
        most, within, radius_m = value.partition("@")
        if word == "operators":
            targets.append({"operators": True})
        elif name == "nearest" and most and within and radius_m:
            targets.append({"nearest": most, "radius_m": radius_m})
        elif colon and value and name in TARGETS:
            targets.append({TARGETS[name]: value})
        else:
            raise InputError(
                f"{place}, to: {word}: expected operators, nearest:3@800 (so many within so many metres), "
                f"or one of {', '.join(TARGETS)} like rank:1"
            )
    return targets


def _point(cell: str, place: str) -> list[float]:
    try:
        lat, lon = map(float, cell.split())
    except ValueError:
        raise InputError(f"{place}, points: {cell.strip()}: expected latitude and longitude in degrees") from None
    return [lat, lon]


def _json(cell: str, place: str) -> Any:
    try:
        return msgspec.json.decode(cell) if cell else None
    except msgspec.DecodeError as error:
        raise InputError(f"{place}, value: expected JSON ({error})") from None


def _rows(entry: Any) -> Iterable[Row]:
    flat = {name: _cell(value) for name, value in msgspec.to_builtins(entry).items() if name not in PARTS.values()}
    if isinstance(entry, Contact) and entry.channels:
        for channel in entry.channels:
            yield flat | {"channel_kind": channel.kind, "address": channel.address, "secret": channel.secret or ""}
    elif isinstance(entry, Rota):
        for shift in entry.shifts:
            yield flat | {name: _cell(value) for name, value in msgspec.to_builtins(shift).items()}
    elif isinstance(entry, Policy):
        for step in entry.steps:
            yield flat | {"delay_s": _cell(step.delay_s), "to": " ".join(map(_target, step.to))}
    elif isinstance(entry, Place):
        yield flat | {"points": ";".join(f"{lat!r} {lon!r}" for lat, lon in entry.points)}
    elif isinstance(entry, RuleOverride):
        yield flat | {"value": msgspec.json.encode(entry.value).decode()}
    else:
        yield flat


def _target(target: Target) -> str:
    if target.operators:
        return "operators"
    if target.nearest is not None:
        return f"nearest:{target.nearest}@{_cell(target.radius_m)}"
    named = {word: getattr(target, member) for word, member in TARGETS.items()}
    return next(f"{word}:{value}" for word, value in named.items() if value is not None)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ";".join(map(str, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
