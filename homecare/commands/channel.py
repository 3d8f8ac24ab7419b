"""`homecare channel rotate`: a new secret for a contact's webhook, shown once; the old one signs beside it for a while."""

import base64
import secrets
from typing import Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from homecare.clock import to_rfc3339
from homecare.commands.directory import database_url, open_vault
from homecare.database import load_queries, require_migrated, unavailable
from homecare.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Ways to contacts.")
SQL = load_queries("homecare.commands")
SECRET_BYTES = 32


@app.callback()
def channel() -> None:
    """Ways to contacts."""


@app.command("rotate")
def rotate_command(
    contact: Annotated[str, typer.Argument(help="The contact's id.")],
    rank: Annotated[
        int, typer.Option(min=0, help="Which of the contact's channels; needed where several are webhooks.")
    ] = 0,
    overlap: Annotated[
        int,
        typer.Option(min=0, max=24 * 30, help="Hours that both secrets sign; 0 where the old one is known to others."),
    ] = 24,
) -> None:
    """Print a new webhook secret, once. Every post is signed with both until the overlap is over."""
    url, vault = database_url(), open_vault()
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    with unavailable(), psycopg.connect(url) as db:
        require_migrated(db)
        webhooks = db.cursor(row_factory=dict_row).execute(SQL["webhooks_of"].encode(), {"contact": contact}).fetchall()
        found = _chosen(webhooks, contact, rank)
        if found["rotating_until"] is not None and overlap:
            until = to_rfc3339(found["rotating_until"])
            raise InputError(
                f"contact {contact}: its last rotation holds until {until}; --overlap 0 ends the old secrets now"
            )
        values = {"channel": found["id"], "secret": vault.seal(secret), "overlap_h": overlap}
        db.execute(SQL["rotate_secret"].encode(), values)
        detail = {"channel": found["id"], "contact": contact, "rank": found["rank"], "overlap_h": overlap}
        db.execute(SQL["record"].encode(), {"action": "channel.rotated", "detail": Jsonb(detail)})
    print(f"contact {contact}, channel {found['rank']} ({found['endpoint']}): shown this once")
    print(secret)


def _chosen(webhooks: list[dict[str, Any]], contact: str, rank: int) -> dict[str, Any]:
    if not webhooks:
        raise InputError(f"there is no contact {contact}")
    there = [webhook for webhook in webhooks if webhook["id"] is not None]
    fitting = [webhook for webhook in there if rank in (0, webhook["rank"])]
    if len(fitting) == 1:
        return fitting[0]
    ranks = ", ".join(str(webhook["rank"]) for webhook in there)
    if not there:
        raise InputError(f"contact {contact}: has no webhook")
    raise InputError(f"--rank: contact {contact} has webhooks at {ranks}")
