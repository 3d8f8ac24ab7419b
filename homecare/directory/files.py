"""Directory files: reading JSON, CSV or a folder of CSV with an error that says where, and writing them again."""

import re
from pathlib import Path

import msgspec

from homecare.directory import tables
from homecare.directory.entries import KINDS, Directory, Source
from homecare.errors import InputError

_AT = re.compile(r" - at `\$\.?([a-z_]*)(?:\[(\d+)\])?(.*)`$")


def read(path: Path) -> Source:
    """A `.json` file, a `.csv` file of one kind, or a folder of such CSV files.

    Raises:
        InputError: naming file, entry, field and what was expected.
    """
    if path.is_dir():
        files = sorted(path.glob("*.csv"))
        if not files:
            raise InputError(f"{path}: expected .csv files in this folder")
        return _merge([tables.read(file, _text(file)) for file in files])
    if path.suffix.lower() == ".csv":
        return _checked(tables.read(path, _text(path)))
    if path.suffix.lower() == ".json":
        return _checked(_read_json(path))
    raise InputError(f"{path}: expected a .json file, a .csv file or a folder of .csv files")


def write(path: Path, directory: Directory) -> None:
    """To a `.json` file, else to a folder of CSV files, one per kind. Readable by the owner alone."""
    if path.suffix.lower() == ".json":
        _write_private(path, msgspec.json.format(msgspec.json.encode(directory), indent=1) + b"\n")
        return
    if path.suffix:
        raise InputError(f"{path}: expected a name ending in .json, or a folder")
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for kind in KINDS:
        _write_private(path / f"{kind}.csv", tables.text(kind, directory).encode())


def _read_json(path: Path) -> Source:
    text = _text(path)
    try:
        raw = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path}: expected an object with {', '.join(KINDS)}")
    try:
        directory = msgspec.convert(raw, Directory)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {explain(str(error), raw)}") from None
    places = {
        kind: [f"{path}: {kind}[{i}] ({_name(entry)})" for i, entry in enumerate(raw[kind])]
        for kind in KINDS
        if kind in raw
    }
    return Source(directory, places)


def explain(problem: str, raw: dict[str, object]) -> str:
    """Msgspec's message with the path first: `residents[3] (R-000004), lat: expected float, got str`."""
    at = _AT.search(problem)
    if not at:
        return (problem[:1].lower() + problem[1:]).replace("`", "")
    text = problem[: at.start()].replace("`", "")
    text = text[:1].lower() + text[1:]
    kind, index, rest = at.groups()
    if not kind:
        return text
    entries = raw.get(kind)
    name = f" ({_name(entries[int(index)])})" if index and isinstance(entries, list) else ""
    entry = f"{kind}[{index}]{name}" if index else kind
    return f"{entry}, {rest.lstrip('.')}: {text}" if rest else f"{entry}: {text}"


def _name(entry: object) -> str:
    if isinstance(entry, dict):
        for member in ("id", "code", "login", "resident", "area"):
            if isinstance(entry.get(member), str):
                return str(entry[member])
    return "without an id"


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start}: expected UTF-8") from None


def _merge(sources: list[Source]) -> Source:
    whole = Source(Directory())
    for source in sources:
        for kind in KINDS:
            entries = getattr(source.directory, kind)
            if entries:
                setattr(whole.directory, kind, [*getattr(whole.directory, kind), *entries])
                whole.places.setdefault(kind, []).extend(source.places[kind])
    return _checked(whole)


def _checked(source: Source) -> Source:
    """No entry twice: which of the two should count, only its author knows."""
    for kind in KINDS:
        seen: dict[object, str] = {}
        for index, entry in enumerate(getattr(source.directory, kind)):
            key = entry_key(entry)
            place = source.place(kind, index)
            if key in seen:
                raise InputError(f"{place}: already stated at {seen[key]}")
            seen[key] = place
    return source


def entry_key(entry: object) -> object:
    """What makes two entries of a kind the same one."""
    for member in ("id", "code", "login"):
        if hasattr(entry, member):
            return getattr(entry, member)
    names = ("area", "resident", "rank", "name", "watch", "what", "at", "rule", "field")
    return tuple(getattr(entry, name, None) for name in names)


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_bytes(content)
