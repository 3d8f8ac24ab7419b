"""`homecare audit verify`: was anything in the log changed, removed or put in another order?"""

import asyncio

import typer
from psycopg import AsyncConnection

from alerts.audit import Verdict, sealing_key, verify
from homecare.database import check_database, unavailable
from homecare.errors import HomecareError

app = typer.Typer(no_args_is_help=True, help="The log's proof.")
MOST_SHOWN = 50
MEANING = {
    "changed": "its content is not what was written",
    "removed": "rows before it are missing",
    "added": "its place is taken twice",
    "cut_off": "the chain does not end where it ended",
    "unchained": "the chain's end is not known",
    "seal_broken": "rows of a sealed day are not those that were sealed, or the seal is not of this HOMECARE_SECRET_KEY",
}


@app.callback()
def audit() -> None:
    """The log's proof."""


@app.command("verify")
def verify_command() -> None:
    """Check every chain and every seal; exit status 1 where something is wrong."""
    from homecare.commands.directory import setting

    url, key = setting("HOMECARE_DATABASE_URL"), sealing_key(setting("HOMECARE_SECRET_KEY"))
    check_database(url)
    verdict = asyncio.run(_verify(url, key))
    for finding in verdict.findings[:MOST_SHOWN]:
        row = f", row {finding.id}" if finding.id is not None else ""
        print(f"{finding.what:<12} {finding.chain}, place {finding.place}{row}: {MEANING[finding.what]}")
    said = f"{verdict.rows} rows in {verdict.chains} chains; {verdict.seals} seals over {verdict.sealed_rows} rows"
    if verdict.erased:
        said += f"; the details of {verdict.erased} rows were erased with a person"
    if verdict.findings:
        raise HomecareError(f"the log is not whole: {len(verdict.findings)} findings ({said})")
    print(f"the log is whole: {said}")


async def _verify(url: str, key: bytes) -> Verdict:
    with unavailable():
        db = await AsyncConnection.connect(url, autocommit=True, application_name="homecare audit")
    async with db:
        return await verify(db, key)
