"""`homecare drill start|stop|status|report`: the monthly test of every household, by hand; the alerts process runs it."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import datetime, time
from typing import Annotated, Any, TypeVar

import typer
from psycopg import AsyncConnection

from homecare.database import check_database, unavailable
from homecare.errors import InputError

app = typer.Typer(no_args_is_help=True, help="The monthly test of every household; `homecare alerts` runs it.")
Result = TypeVar("Result")
AreaOption = Annotated[str, typer.Option(help="Code of the area: it and all below it.")]
REASONS = {
    "answered": "answered",
    "no_answer": "told, no answer",
    "not_delivered": "could not be told",
    "no_contact": "has no contact to tell",
    "interrupted": "a real alert came",
    "not_tested": "not tested",
    "refused": "answered that it cannot",
    "no_device": "none",
}


@app.command()
def start(
    area: AreaOption,
    from_: Annotated[str, typer.Option("--from", help="HH:MM by the area's clock; nobody is told before.")] = "",
    until: Annotated[str, typer.Option(help="HH:MM; what is left goes on the day after.")] = "",
    per_minute: Annotated[int, typer.Option(min=0, max=600, help="Households told in a minute.")] = 0,
    answer_hours: Annotated[float, typer.Option(min=0, max=168, help="Hours each has to answer.")] = 0,
) -> None:
    """Drill every household of an area now. What is left out is as its schedule says, else 10:00 to 17:00, 6 a minute, a day."""
    from alerts.watch import drills

    begins, ends = _clock(from_, "--from"), _clock(until, "--until")
    if begins and ends and begins >= ends:
        raise InputError("--until: expected a time after --from")

    async def work(db: AsyncConnection) -> int | None:
        return await drills.start(
            db,
            area,
            getpass.getuser(),
            begins=begins,
            ends=ends,
            per_minute=per_minute or None,
            answer_s=answer_hours * 3600 or None,
        )

    number = _with_database(work)
    if number is None:
        raise InputError(f"area {area}: there is no such area, or a drill of it runs")
    print(f"drill {number} of {area} begun; homecare drill status shows how it goes")


@app.command()
def stop(area: AreaOption) -> None:
    """Tell nobody more; who was told may still answer."""
    from alerts.watch import drills

    number = _with_database(lambda db: drills.stop(db, area, getpass.getuser()))
    if number is None:
        raise InputError(f"area {area}: no drill runs there")
    print(f"drill {number} stopped")


@app.command()
def status(area: AreaOption = "") -> None:
    """The drills, the latest first: how many households were told, reached, not reached."""
    for drill in _drills(area):
        print(
            f"drill {drill.id}, {drill.area}, {drill.started_at:%Y-%m-%d %H:%M %Z}, {_state(drill)}: {_counts(drill)}"
        )


@app.command()
def report(
    area: AreaOption = "",
    drill: Annotated[int, typer.Option(help="Its number; the latest if left out.")] = 0,
) -> None:
    """Whom a drill did not reach, and which devices did not answer: a line each, and a last line with the numbers."""
    found = _drills(area)
    chosen = next((one for one in found if one.id == drill or not drill), None)
    if chosen is None:
        raise InputError("there is no such drill" if drill else "there was no drill yet")

    async def work(db: AsyncConnection) -> list[Any]:
        from alerts.store import rows

        return await rows(db, "unreached", {"drill": chosen.id})

    for home in _with_database(work):
        contact = (
            f"{home.contact_name or home.contact} {home.contact_phone or ''}".strip() if home.contact else "no contact"
        )
        people = REASONS[home.people]
        device = f"; device {home.device_id}: {REASONS[home.device]}" if home.device_id else ""
        print(f"{home.area}  {home.id}  {home.name}  {home.phone or ''}  {contact}: {people}{device}")
    print(f"drill {chosen.id}, {chosen.area}, {_state(chosen)}: {_counts(chosen)}")


def _drills(area: str) -> list[Any]:
    async def work(db: AsyncConnection) -> list[Any]:
        from alerts.store import rows

        return await rows(db, "drills", {"area": area or None})

    return _with_database(work)


def _state(drill: Any) -> str:
    if drill.ended_at is not None:
        return "ended"
    return (
        "stopped, waiting for answers"
        if drill.stopped_at is not None
        else f"runs {drill.begins:%H:%M} to {drill.ends:%H:%M}"
    )


def _counts(drill: Any) -> str:
    return f"{drill.told} of {drill.households} told, {drill.reached} reached, {drill.not_reached} not reached"


def _clock(text: str, option: str) -> time | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of day, by the area's clock
    except ValueError:
        raise InputError(f"{option}: expected HH:MM, like 10:00") from None


def _with_database(work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    from homecare.commands.directory import database_url

    url = database_url()
    check_database(url)

    async def connected() -> Result:
        with unavailable():
            async with await AsyncConnection.connect(url, autocommit=True, application_name="homecare drill") as db:
                return await work(db)

    return asyncio.run(connected())
