"""`homecare policy preview`: who would be called, step by step, before anybody needs it."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, get_args
from zoneinfo import ZoneInfo

import typer

from homecare.commands.directory import database_url
from homecare.database import check_database, open_pool
from homecare.errors import InputError
from homecare.triggers import Kind, Severity

if TYPE_CHECKING:
    from alerts.circle import Circle, Recipient
    from alerts.policies import Planned

app = typer.Typer(no_args_is_help=True, help="Policies: who is called when.")


@app.callback()
def policies() -> None:
    """A group, so that `preview` keeps its name."""


@app.command()
def preview(
    resident: Annotated[str, typer.Option(help="Id of the resident.")],
    kind: Annotated[str, typer.Option(help=f"Kind of alert: {', '.join(get_args(Kind))}.")] = "sos",
    at: Annotated[
        str, typer.Option(help="02:00 (the next there is, by the resident's clock), or 2026-11-22T02:00.")
    ] = "",
    severity: Annotated[
        Severity | None, typer.Option(help="Critical for an SOS or a fall, else warning, if left out.")
    ] = None,
    service: Annotated[
        Literal["health", "housekeeping", "shopping", "other"], typer.Option(help="What assist asks for.")
    ] = "other",
) -> None:
    """Who would be called if it began then and nobody answered, until the repeats have come to the operators furthest up."""
    from alerts.policies import preview as planned

    if kind not in get_args(Kind):
        raise InputError(f"--kind {kind}: must be one of {', '.join(get_args(Kind))}")
    if severity is None:
        severity = "critical" if kind in ("sos", "fall") else "warning"
    circle, zone = _read(resident, kind, severity, service)
    begins = _moment(at, zone, datetime.now(UTC))
    print(f"{resident}: {kind} ({severity}) at {begins.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}, if nobody answers")
    for line in lines(circle, planned(circle, begins), zone):
        print(line)


def lines(circle: "Circle", plan: "Iterable[Planned]", zone: ZoneInfo) -> Iterator[str]:
    """A line for every call, and for whom it passes over, with the time by the clock of `zone`."""
    known = {person.contact: person for person in circle.people}

    def called(recipient: "Recipient") -> str:
        if recipient.contact is None:
            return f"operators of {recipient.area or 'whatever area'}"
        person = known.get(recipient.contact)
        return f"{person.name if person else ''} ({recipient.contact}) by {recipient.kind}".strip()

    policy = ""
    for planned in plan:
        page = planned.page
        if not policy:
            policy = f"policy {page.policy.id}" if page.policy.id else "no policy: the built-in one"
            yield policy
        time = f"{planned.at.astimezone(zone):%a %H:%M:%S}"
        if page.reason == "waiting":
            yield f"{time}  nobody yet: step 1 waits {page.delay_s:g} s"
            continue
        for gap in page.gaps:
            yield f"{time}  step {gap.step}: nobody on duty by rota {gap.rota}"
        for deferred in page.deferred:
            until = f"{deferred.until.astimezone(zone):%a %H:%M}"
            yield f"{time}  step {deferred.step}: {called(deferred.recipient)} is told at {until}, after quiet hours"
        for skipped in page.skipped:
            if skipped.reason == "nobody":
                yield f"{time}  step {skipped.step}: reaches nobody, the next one at once"
        again = f", again after {page.delay_s:g} s" if page.reason == "repeat" else ""
        yield f"{time}  step {page.step}{again}: {', '.join(map(called, page.recipients))}"


def _read(resident: str, kind: str, severity: Severity, service: str) -> "tuple[Circle, ZoneInfo]":
    from alerts.circles import circle_of_resident
    from alerts.duty import zone_of
    from alerts.store import write_log

    url = database_url()
    check_database(url)

    async def read() -> "tuple[Circle, ZoneInfo]":
        asked = service if kind == "assist" else None
        async with open_pool(url, name="policy", max_size=1) as pool, pool.connection() as db:
            circle = await circle_of_resident(db, resident, kind, severity, datetime.now(UTC), asked)
            if circle is None:
                raise InputError(f"--resident: there is no resident {resident}")
            await write_log(db, None, "policy.previewed", {"resident": resident, "kind": kind})
            return circle, zone_of(circle.timezone)

    return asyncio.run(read())


def _moment(at: str, zone: ZoneInfo, now: datetime) -> datetime:
    """What `at` means: a time of day that is still to come, or a local date and time; left out, now. InputError."""
    if not at:
        return now
    for form in ("%H:%M", "%Y-%m-%dT%H:%M"):
        try:
            parsed = datetime.strptime(at, form)  # noqa: DTZ007 - local, its zone comes next
        except ValueError:
            continue
        if form != "%H:%M":
            return parsed.replace(tzinfo=zone).astimezone(UTC)
        here = now.astimezone(zone)
        asked = here.replace(hour=parsed.hour, minute=parsed.minute, second=0, microsecond=0)
        return (asked if asked >= here else asked + timedelta(days=1)).astimezone(UTC)
    raise InputError(f"--at {at}: must look like 02:00 or 2026-11-22T02:00")
