"""`homecare quarantine list|show|replay`: what could not be kept, looked at and sent through again after a fix."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar, get_args
from uuid import uuid4

import msgspec
import typer
from psycopg import AsyncConnection

from homecare.clock import to_rfc3339
from homecare.database import check_database, unavailable
from homecare.errors import HomecareError, InputError
from homecare.logs import configure_logs
from homecare.messages import RejectionReason
from homecare.settings import load_settings
from ingest.quarantine import Entry, Selection, list_entries, replay, show

app = typer.Typer(no_args_is_help=True, help="Messages that could not be kept.")
T = TypeVar("T")

Reason = Annotated[str, typer.Option(help="Only those with this reason, like out_of_range.")]
Device = Annotated[str, typer.Option(help="Only those from this device.")]
Since = Annotated[str, typer.Option(help="Only those that came since then: 2026-11-21T08:00Z, or 90m, 12h, 7d ago.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, an object per line.")]

COLUMNS = ("ID", "LAST RECEIVED", "TIMES", "REASON", "DEVICE", "AREA", "LANE", "BYTES", "DETAIL")
MOST_SHOWN = 4096
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@app.command("list")
def list_command(
    reason: Reason = "",
    device: Device = "",
    since: Since = "",
    replayed: Annotated[bool, typer.Option("--replayed", help="Also those that were replayed.")] = False,
    most: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """The newest first."""
    selection = _selection(reason, device, since)
    entries = _with_database(lambda db: list_entries(db, selection, replayed=replayed, most=most))
    if as_json:
        for entry in entries:
            print(_json(entry))
    elif entries:
        _print_table([COLUMNS, *map(_row, entries)])
    else:
        print("nothing in the quarantine" if selection == Selection() else "nothing like that in the quarantine")


@app.command("show")
def show_command(entry: Annotated[int, typer.Argument(help="Its id.")], as_json: AsJson = False) -> None:
    """One, with its raw bytes."""
    found = _with_database(lambda db: show(db, entry))
    if found is None:
        raise InputError(f"quarantine: there is no {entry}")
    if as_json:
        print(_json(found))
        return
    for name, value in msgspec.structs.asdict(found).items():
        if name != "payload":
            print(f"{name:<14} {_text(value)}")
    payload = found.payload or b""
    print(f"{'payload':<14} {_readable(payload[:MOST_SHOWN])}{' …' if len(payload) > MOST_SHOWN else ''}")


@app.command("replay")
def replay_command(
    entries: Annotated[list[int] | None, typer.Argument(help="Their ids; none: all that the options name.")] = None,
    reason: Reason = "",
    device: Device = "",
    since: Since = "",
    everything: Annotated[bool, typer.Option("--all", help="All there are.")] = False,
) -> None:
    """Publish the raw bytes again on their topics. What is still wrong comes back."""
    selection = _selection(reason, device, since, entries)
    if selection == Selection() and not everything:
        raise InputError("quarantine replay: name entries, or --reason, --device, --since, or --all")
    count = _with_database(lambda db: _replay(db, selection))
    print(f"replayed {count}" if count else "nothing to replay")


async def _replay(db: AsyncConnection, selection: Selection) -> int:
    from gateway.session import Session
    from homecare.errors import BrokerUnavailable

    settings = load_settings()
    configure_logs("console", "warning", "quarantine")
    session = Session(
        settings.mqtt_url.get_secret_value(),
        client_id=f"homecare-quarantine-{uuid4().hex[:12]}",
        filters=(),
        ca_file=settings.mqtt_ca_file,
        session_expiry_s=0,
    )
    await session.connect()
    try:
        return await replay(db, selection, session.publish)
    except BrokerUnavailable as error:
        raise HomecareError(f"{error}; what was not replayed is still in the quarantine") from error
    finally:
        await session.close()


def _with_database(question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    from homecare.commands.directory import setting

    url = setting("HOMECARE_DATABASE_URL")
    check_database(url)

    async def ask() -> T:
        with unavailable():
            db = await AsyncConnection.connect(url, autocommit=True, application_name="homecare quarantine")
        async with db:
            return await question(db)

    return asyncio.run(ask())


def _selection(reason: str, device: str, since: str, entries: list[int] | None = None) -> Selection:
    if reason and reason not in get_args(RejectionReason):
        raise InputError(f"--reason {reason}: must be one of {', '.join(get_args(RejectionReason))}")
    return Selection(
        reason=reason or None,
        device=device or None,
        since=_moment(since) if since else None,
        ids=tuple(entries) if entries else None,
    )


def _moment(text: str) -> datetime:
    number, unit = text[:-1], text[-1]
    try:
        if unit in UNITS and number.isdecimal():
            return datetime.now(UTC) - timedelta(**{UNITS[unit]: int(number)})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InputError(f"--since {text}: must be like 2026-11-21T08:00Z, 90m, 12h or 7d") from None
    return moment if moment.tzinfo else moment.astimezone()


def _row(entry: Entry) -> tuple[str, ...]:
    values = (
        entry.id,
        entry.last_received,
        entry.times,
        entry.reason,
        entry.device,
        entry.area,
        entry.lane,
        entry.size,
    )
    return (*map(_text, values), _readable(entry.detail.encode()))


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return to_rfc3339(value)
    return "-" if value is None else _readable(str(value).encode())


def _readable(data: bytes) -> str:
    """As text, with whatever a terminal should not get as escapes: these bytes are a stranger's."""
    text = data.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _json(entry: Entry) -> str:
    shown: dict[str, Any] = {
        name: to_rfc3339(value) if isinstance(value, datetime) else value
        for name, value in msgspec.structs.asdict(entry).items()
        if name != "payload"
    }
    if entry.payload is not None:
        shown["payload_base64"] = entry.payload
    return msgspec.json.encode(shown).decode()
