"""`homecare erase RESIDENT`: forget a person everywhere, and say what was erased."""

import sys

import typer

from homecare.commands.directory import database_url
from homecare.database import check_database
from homecare.erasure.person import erase
from homecare.errors import InputError
from homecare.logs import configure_logs
from ingest.snapshots import without


def command(resident: str, yes: bool = False) -> int:
    """Needs HOMECARE_DATABASE_URL of a user who owns the tables. InputError where nobody can be asked and `yes` is not said."""
    configure_logs("console", process="erase")
    url = database_url()
    check_database(url)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("what is erased does not come back: say --yes")
        typer.confirm(f"Erase {resident} for ever, with all that was measured of them?", abort=True)
    erased = erase(url, resident, without)
    width = max(map(len, erased.counts))
    for what, count in erased.counts.items():
        print(f"{what:<{width}}  {count:>9,}")
    print(f"{resident} is forgotten")
    return 0
