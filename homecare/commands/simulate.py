"""`homecare simulate scenario|homes|fleet|play`: devices, seen from the broker's other side."""

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from homecare.commands.demo_folder import BROKER_FILE, DIRECTORY_FILE, default_folder
from homecare.commands.directory import setting
from homecare.errors import InputError

if TYPE_CHECKING:
    from homecare.directory.entries import Directory
    from simulators.home import Home, Plan
    from simulators.memory import Memory

app = typer.Typer(no_args_is_help=True, help="Simulated devices: scenarios, homes, captures.")
PROGRESS_EVERY_S = 0.5
CONNECTS_WITHIN_S = 5.0

DirectoryFile = Annotated[
    str,
    typer.Option("--directory", help="Directory file with the devices' plain passwords; the demo's own if left out."),
]
BrokerUrl = Annotated[str, typer.Option("--broker", help="mqtt://host:port; the running demo's if left out.")]
StateFolder = Annotated[str, typer.Option("--state", help="Folder in which the devices count their starts.")]


@app.command()
def scenario(
    name: Annotated[str, typer.Argument(help="Which; `list` shows them all.")],
    directory: DirectoryFile = "",
    resident: Annotated[str, typer.Option(help="In whose home; the first that has what it needs.")] = "",
    broker: BrokerUrl = "",
    state: StateFolder = "",
) -> None:
    """Let one thing happen in one home, and say what the backend answered."""
    from simulators.home import switched_on
    from simulators.scenarios import SCENARIOS

    if name == "list":
        for known in SCENARIOS.values():
            print(f"{known.name:26} {known.en} / {known.zh}")
        return
    if name not in SCENARIOS:
        raise InputError(f"scenario {name}: expected one of {', '.join(SCENARIOS)}")
    chosen = SCENARIOS[name]
    _quiet_logs()
    homes = _homes(directory, broker, state, only=resident, needs=chosen.needs, role="-scenario")

    async def play() -> None:
        home = homes[0]
        devices = [getattr(home, need) for need in chosen.needs]
        print(f"{chosen.name} in the home of {home.resident}: {chosen.en} / {chosen.zh}", flush=True)
        async with switched_on(devices, within_s=CONNECTS_WITHIN_S):
            played = await chosen.play(home)
        for ack in played.acks:
            print(f"message {ack.seq}: {ack.state} after {ack.after_s * 1000:.0f} ms, alert {ack.alert or 'none'}")
        for must in chosen.must:
            print(f"must raise: {must.kind}" + (f" ({must.metric})" if must.metric else ""))

    asyncio.run(play())


@app.command()
def homes(
    directory: DirectoryFile = "",
    broker: BrokerUrl = "",
    state: StateFolder = "",
    turn: Annotated[int, typer.Option(help="Another number: the same things happen in other homes.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="A day on which nothing happens.")] = False,
) -> None:
    """All homes of the directory: the past day at two hours a second, then live, until stopped."""
    from homecare.tasks import run, run_tasks
    from simulators.day import HAPPENINGS, live

    _quiet_logs()
    all_homes = _homes(directory, broker, state)

    async def main(stop: asyncio.Event) -> None:
        def say(text: str) -> None:
            print(text, flush=True)

        await run_tasks(stop, {"homes": live(all_homes, () if quiet else HAPPENINGS, turn=turn, say=say)})

    raise typer.Exit(run(main))


@app.command()
def fleet(
    devices: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    rate: Annotated[float, typer.Option(min=0.001, help="Messages a second, of all together.")] = 100,
    seconds: Annotated[float, typer.Option(min=0.001, help="For how long.")] = 60,
    faults: Annotated[str, typer.Option(help="Like duplicates,reorder,skew,storm=5; `list` explains them.")] = "",
    ledger: Annotated[str, typer.Option(help="File for what each device sent and what was acknowledged.")] = "",
    write_directory: Annotated[
        str, typer.Option("--write-directory", help="Write so many devices to this file, for `directory import`; end.")
    ] = "",
    seed: Annotated[int, typer.Option(help="The same number: the same faults.")] = 1,
    directory: DirectoryFile = "",
    broker: BrokerUrl = "",
    state: StateFolder = "",
) -> None:
    """Many devices at one rate, each by its own connection, with what goes wrong in the field."""
    from homecare.commands.simulate_fleet import run_fleet, write_fleet
    from simulators.faults import KNOWN, parse

    if faults == "list":
        print(KNOWN)
        return
    wrong = parse(faults)
    if write_directory:
        write_fleet(Path(write_directory), devices)
        print(f"wrote {devices} devices to {write_directory}: `homecare directory import {write_directory}`, then")
        print("`homecare device passwords --output FILE` for the broker")
        return
    _quiet_logs()
    given, host, port, memory = _given(directory, broker, state)
    raise typer.Exit(run_fleet(given.devices, devices, host, port, memory, rate, seconds, wrong, seed, ledger))


@app.command()
def play(
    file: Annotated[Path, typer.Argument(help="A capture, plain or .gz.")],
    speed: Annotated[float, typer.Option(help="2: twice as fast as it was; 0: as fast as the broker takes it.")] = 1.0,
) -> None:
    """Send a capture, topics and payloads untouched, as the backend's own user of HOMECARE_MQTT_URL."""
    from simulators import capture

    if speed < 0:
        raise InputError("--speed: expected 0 or more")
    url = setting("HOMECARE_MQTT_URL")
    shown = 0.0

    def progress(count: int) -> None:
        nonlocal shown
        if time.monotonic() - shown > PROGRESS_EVERY_S and sys.stderr.isatty():
            shown = time.monotonic()
            print(f"\r{count} sent", end="", file=sys.stderr, flush=True)

    if next(capture.read(file), None) is None:
        raise InputError(f"{file}: holds no messages")
    played = capture.play(url, capture.read(file), speed=speed, progress=progress)
    if shown:
        print(file=sys.stderr)
    print(f"{played.published} messages in {played.took_s:.1f} s")
    for reason, count in played.refused.items():
        print(f"{count} refused by the broker: {reason}")
    if played.refused:
        raise typer.Exit(1)


def _homes(
    directory: str, broker: str, state: str, only: str = "", needs: tuple[str, ...] = (), role: str = ""
) -> list["Home"]:
    """The homes of the file: all, or the one resident's, or the first with what is needed."""
    from simulators.home import Plan, build_homes

    given, host, port, memory = _given(directory, broker, state)
    plan = Plan(host, port, memory, role=role)
    if only or needs:
        return [_one_home(given, plan, only, needs)]
    return build_homes(given, plan)


def _given(directory: str, broker: str, state: str) -> tuple["Directory", str, int, "Memory"]:
    """What is said or, where it is not, the demo's: the directory, the broker's host and port, the devices' counters."""
    from homecare.directory import files
    from simulators.memory import Memory

    demo = default_folder()
    parts = urlsplit(broker or _broker_of(demo))
    if parts.scheme != "mqtt" or not parts.hostname:
        raise InputError(f"--broker {broker}: expected mqtt://host:port")
    found = files.read(Path(directory) if directory else demo / DIRECTORY_FILE).directory
    return found, parts.hostname, parts.port or 1883, Memory(Path(state) if state else demo / "devices")


def _broker_of(demo: Path) -> str:
    try:
        return (demo / BROKER_FILE).read_text().strip()
    except OSError:
        raise InputError(f"no demo has run in {demo}; say --directory and --broker") from None


def _one_home(directory: "Directory", plan: "Plan", only: str, needs: tuple[str, ...]) -> "Home":
    import msgspec

    from simulators.home import build_homes

    for resident in directory.residents:
        own = [d for d in directory.devices if d.wearer == resident.id]
        kiosks = [d for d in directory.devices if d.kind == "kiosk" and d.area == resident.area]
        if only in ("", resident.id) and set(needs) <= {d.kind for d in (*own, *kiosks)} and (own or kiosks):
            part = msgspec.structs.replace(directory, residents=[resident], devices=[*own, *kiosks])
            return build_homes(part, plan)[0]
    raise InputError(f"no home{f' of {only}' if only else ''} has {', '.join(needs)}")


def _quiet_logs() -> None:
    from homecare.logs import configure_logs

    configure_logs("console", "warning", "simulate")
