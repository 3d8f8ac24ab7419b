"""The command `homecare`: every subcommand of the contract, each in a module of its own that is imported when called.

Exit status: 0 done, 1 failed while running, 2 wrong use (arguments, settings, input files).
"""

import importlib
import sys
import warnings
from typing import Annotated

import typer

from homecare.errors import HomecareError, InputError, SettingsError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Home-care backend.")

GROUPS = (
    "simulate",
    "directory",
    "device",
    "quarantine",
    "operator",
    "rules",
    "policy",
    "audit",
    "drill",
    "outbox",
    "channel",
)
"""Modules in `homecare.commands` whose `app` is a group of subcommands."""


def call(module: str, **arguments: object) -> None:
    """Import `homecare.commands.<module>`, call its `command(**arguments)`; its int is the exit status."""
    status = importlib.import_module(f"homecare.commands.{module}").command(**arguments)
    raise typer.Exit(status or 0)


@app.command()
def demo(
    check: Annotated[
        bool, typer.Option("--check", help="Play the night fall once, verify every step, and end.")
    ] = False,
    data: Annotated[str, typer.Option(help="Folder the demo's database and broker live in.")] = "",
) -> None:
    """Everything on one machine, simulated homes included."""
    call("demo", check=check, data=data)


@app.command()
def migrate() -> None:
    """Bring the database to the current schema."""
    call("migrate")


@app.command()
def ingest(shard: Annotated[str, typer.Option(help="Which share of the areas, like 1/4.")] = "1/1") -> None:
    """Measurements: MQTT -> checks -> rules -> database."""
    call("ingest", shard=shard)


@app.command()
def alerts() -> None:
    """Events, escalation, notification."""
    call("alerts")


@app.command()
def dashboard() -> None:
    """The operators' and families' pages, the API."""
    call("dashboard")


@app.command()
def capture(
    output: Annotated[str, typer.Option(help="File, packed where it ends in .gz; standard output if left out.")] = "",
    topic: Annotated[list[str] | None, typer.Option(help="MQTT filter, several times; all devices' messages.")] = None,
    count: Annotated[int, typer.Option(min=0, help="End after so many messages.")] = 0,
    seconds: Annotated[float, typer.Option(min=0, help="End after so long.")] = 0,
) -> None:
    """MQTT messages as JSON lines, until stopped; `homecare simulate play` sends them again."""
    call("capture", output=output, topics=topic or [], count=count, seconds=seconds)


@app.command()
def erase(
    resident: Annotated[str, typer.Argument(help="Their id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget a person everywhere, and say what was erased."""
    call("erase", resident=resident, yes=yes)


@app.command()
def backtest(
    file: Annotated[str, typer.Argument(help="A capture, plain or .gz.")],
    rules: Annotated[str, typer.Option(help="Rule pack (TOML); the default one if left out.")] = "",
    against: Annotated[
        str, typer.Option(help="CSV of what people noted: subject, date, type. Tells recall and precision by day.")
    ] = "",
    interval: Annotated[
        float, typer.Option(min=0, help="Seconds between two messages of a device that does not say; 0: unwatched.")
    ] = 60,
    zone: Annotated[str, typer.Option(help="Time zone of the people, like Asia/Shanghai.")] = "",
) -> None:
    """A capture through the checks and rules, on its own clock: a JSON line for each trigger."""
    call("backtest", file=file, rules=rules, against=against, interval=interval, zone=zone)


def main() -> None:
    """Entry point: one line for a person on standard error, and the right exit status."""
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    asked = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    for group in GROUPS:
        # Only the group asked for is imported; help lists them all.
        if asked in (None, group):
            app.add_typer(importlib.import_module(f"homecare.commands.{group}").app, name=group)
    try:
        app()
    except (SettingsError, InputError) as error:
        sys.exit(_say(error, 2))
    except HomecareError as error:
        sys.exit(_say(error, 1))


def _say(error: HomecareError, status: int) -> int:
    print(f"homecare: {error}", file=sys.stderr, flush=True)
    return status
