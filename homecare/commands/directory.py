"""`homecare directory import|export`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from homecare.errors import InputError, SettingsError
from homecare.secrets import Vault

app = typer.Typer(
    no_args_is_help=True,
    help="Areas, residents, contacts, devices, policies, operators, and what the rules know of people.",
)


def setting(name: str) -> str:
    """An environment variable this command cannot do without. Raises SettingsError."""
    value = os.environ.get(name)
    if not value:
        raise SettingsError(name, "is not set")
    return value


def database_url() -> str:
    """HOMECARE_DATABASE_URL. Raises SettingsError."""
    from homecare.database import check_database_url

    url = setting("HOMECARE_DATABASE_URL")
    check_database_url(url)
    return url


def open_vault() -> Vault:
    """The vault of HOMECARE_SECRET_KEY. Raises SettingsError."""
    key = setting("HOMECARE_SECRET_KEY")
    if len(key) < 32:
        raise SettingsError("HOMECARE_SECRET_KEY", "must be at least 32 characters of random text")
    return Vault(key)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A .json file, a .csv file of one kind, or a folder of .csv files.")],
) -> None:
    """Write a file's entries to the database, all or nothing; importing it twice changes nothing."""
    from homecare.commands.rules import checker
    from homecare.directory import files, store

    url, vault = database_url(), open_vault()
    counts = store.import_directory(url, files.read(file), vault, checker())
    if not counts:
        raise InputError(f"{file}: holds no entries")
    for kind, count in counts.items():
        print(f"{kind}: " + ", ".join(f"{number} {outcome}" for outcome, number in sorted(count.items())))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A name ending in .json, or a folder for .csv files.")],
    secrets: Annotated[bool, typer.Option("--secrets", help="Webhook secrets too, in plain text.")] = False,
) -> None:
    """Write what is in force now to files that `import` reads. Passwords stay hashes."""
    from homecare.directory import files, store

    directory = store.export_directory(database_url(), open_vault() if secrets else None)
    files.write(file, directory)
    print(f"wrote {file}")
