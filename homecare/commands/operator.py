"""`homecare operator …`: the first operator, and tokens for the API; afterwards the directory brings operators too."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, TypeVar

import psycopg
import typer

from dashboards import accounts
from dashboards.passwords import SHORTEST, generate_password, hash_password
from dashboards.store import Store
from homecare.database import check_database, open_pool
from homecare.errors import InputError, SettingsError

app = typer.Typer(no_args_is_help=True, help="Operators of the dashboard, and tokens for the API.")
Result = TypeVar("Result")
Generate = Annotated[
    bool, typer.Option("--generate", help="Make a password and print it once; without a terminal, always.")
]


@app.command()
def add(
    login: str,
    area: Annotated[str, typer.Option(help="Code of the area they see, with all below it.")],
    name: Annotated[str, typer.Option(help="As colleagues know them.")],
    language: Annotated[Literal["zh", "en"], typer.Option()] = "zh",
    role: Annotated[Literal["operator", "doctor", "manager", "auditor"], typer.Option()] = "operator",
    generate: Generate = False,
) -> None:
    """Add an operator; the password is asked, or made and printed once."""
    hashed = hash_password(_password(generate))

    async def insert(store: Store) -> bool:
        try:
            return await accounts.add_operator(
                store, login=login, name=name, role=role, area=area, language=language, password_hash=hashed
            )
        except psycopg.errors.ForeignKeyViolation:
            raise InputError(f"there is no area {area}") from None
        except psycopg.errors.CheckViolation:
            raise InputError("LOGIN: 1 to 64 letters, digits or _ . @ -; --name: not empty") from None

    if not _with_store(insert):
        raise InputError(f"there is an operator {login} already")
    print(f"operator {login} added")


@app.command()
def password(login: str, generate: Generate = False) -> None:
    """Set a new password; their sessions end."""
    hashed = hash_password(_password(generate))
    if not _with_store(lambda store: accounts.set_password(store, login, hashed)):
        raise InputError(f"there is no operator {login}")
    print(f"password of {login} set")


@app.command()
def disable(login: str) -> None:
    """End an operator's access: sessions and tokens stop at once."""
    if not _with_store(lambda store: accounts.disable_operator(store, login)):
        raise InputError(f"there is no operator {login} at work")
    print(f"operator {login} disabled")


@app.command()
def token(
    login: str,
    scope: Annotated[list[str], typer.Option(help=f"What it is for, repeatable: {', '.join(accounts.SCOPES)}.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it lives.")] = 90,
    name: Annotated[str, typer.Option(help="Who the log says it was; LOGIN without it.")] = "",
) -> None:
    """Make a token for the API that sees what the operator sees; it is printed once."""
    if unknown := [one for one in scope if one not in accounts.SCOPES]:
        raise InputError(f"--scope {unknown[0]}: must be one of {', '.join(accounts.SCOPES)}")
    made = _with_store(lambda store: accounts.add_token(store, login, name or login, sorted(set(scope)), days))
    if made is None:
        raise InputError(f"there is no operator {login} at work")
    text, expires = made
    print(f"{text}\nvalid until {expires:%Y-%m-%d}; it is shown only now", flush=True)


def _password(generate: bool) -> str:
    if generate or not sys.stdin.isatty():
        made = generate_password()
        print(f"password: {made}   (it is shown only now)", flush=True)
        return made
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    if len(asked) < SHORTEST:
        raise InputError(f"the password must have at least {SHORTEST} characters")
    return asked


def _with_store(work: Callable[[Store], Awaitable[Result]]) -> Result:
    url = os.environ.get("HOMECARE_DATABASE_URL")
    if not url:
        raise SettingsError("HOMECARE_DATABASE_URL", "is not set")
    check_database(url)

    async def with_pool() -> Result:
        async with open_pool(url, name="operator", max_size=1) as pool:
            return await work(Store(pool))

    return asyncio.run(with_pool())
