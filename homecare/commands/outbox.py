"""`homecare outbox dead|replay|dismiss`: letters that nobody got, seen, sent again or put aside with a reason."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
import psycopg
import typer
from psycopg.rows import class_row

from homecare.clock import to_rfc3339
from homecare.commands.directory import database_url
from homecare.database import load_queries, require_migrated, unavailable
from homecare.dead_letters import MOST_REASON, DeadLetter, Outcome
from homecare.errors import HomecareError, InputError

app = typer.Typer(no_args_is_help=True, help="Messages to contacts that were never delivered.")
SQL = load_queries("homecare.commands")
COLUMNS = ("ID", "WRITTEN", "TRIES", "ERROR", "CHANNEL", "CONTACT", "ALERT", "AREA")
SAID: dict[Outcome, str] = {
    "not_there": "there is no such dead letter (any more)",
    "channel_deleted": "its channel was deleted",
    "channel_disabled": "its channel is disabled: give the contact a new address first",
    "not_needed": "its alert is no longer open; dismiss it",
    "no_reason": "expected a reason",
}
Ids = Annotated[list[UUID], typer.Argument(help="Their ids.")]


@app.command("dead")
def dead_command(
    area: Annotated[str, typer.Option(help="Only this area's, and of those below it.")] = "",
    most: Annotated[int, typer.Option(min=1, help="At most so many, the oldest first.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, an object per line.")] = False,
) -> None:
    """What was given up: tried for a day, or nowhere to send it."""
    with unavailable(), psycopg.connect(database_url()) as db:
        require_migrated(db)
        cursor = db.cursor(row_factory=class_row(DeadLetter))
        letters = cursor.execute(SQL["dead_letters"].encode(), {"area": area or None, "most": most}).fetchall()
    if as_json:
        for letter in letters:
            print(msgspec.json.encode(letter).decode())
    elif letters:
        rows = [COLUMNS, *map(_row, letters)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())
    else:
        print("no dead letters")


@app.command("replay")
def replay_command(letters: Ids) -> None:
    """Send again, the same bytes under the same id, for another day."""
    _each("replay_letter", letters, "replayed")


@app.command("dismiss")
def dismiss_command(
    letters: Ids, reason: Annotated[str, typer.Option(help="Why nobody needs it any more; kept in the log.")]
) -> None:
    """Put aside."""
    if not 0 < len(reason.strip()) <= MOST_REASON:
        raise InputError(f"--reason: expected 1 to {MOST_REASON} characters")
    _each("dismiss_letter", letters, "dismissed", reason=reason)


def _each(query: str, letters: list[UUID], done: Outcome, **more: str) -> None:
    """Each in a transaction of its own; HomecareError at the end where one could not be done."""
    failed = 0
    with unavailable(), psycopg.connect(database_url(), autocommit=True) as db:
        require_migrated(db)
        for letter in letters:
            row = db.execute(SQL[query].encode(), {"id": letter, **more}).fetchone()
            assert row is not None
            outcome: Outcome = row[0]
            failed += outcome != done
            print(f"{letter}: {SAID.get(outcome, outcome)}")
    if failed:
        raise HomecareError(f"{failed} of {len(letters)} not {done}")


def _row(letter: DeadLetter) -> tuple[str, ...]:
    alert = "-" if letter.number is None else f"{letter.number} {letter.kind} {letter.alert_state}"
    values = (letter.id, letter.created_at, letter.attempts, letter.last_error, letter.channel_kind, letter.contact)
    return (*map(_text, values), alert, letter.area or "-")


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return to_rfc3339(value)
    return "-" if value is None else str(value)
