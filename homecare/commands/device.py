"""`homecare device add|renew|passwords`: a credential for each device, shown once, and the broker's file of them."""

import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import msgspec
import typer

from homecare.commands.directory import database_url, setting
from homecare.errors import InputError, SettingsError

app = typer.Typer(no_args_is_help=True, help="Devices and their passwords.")

NEXT = "The broker knows it after `homecare device passwords --output FILE` and a SIGHUP."


@app.command()
def add(
    device: Annotated[str, typer.Argument(help="Its id: the MQTT user name and part of its topics.")],
    area: Annotated[str, typer.Option(help="Code of the area it stands in.")],
    kind: Annotated[str, typer.Option(help="handset, fall_sensor, kiosk or home_sensor.")],
    wearer: Annotated[str, typer.Option(help="Id of the resident who wears or keeps it.")] = "",
    interval: Annotated[float, typer.Option(help="Seconds between two normal telemetry messages.")] = 60,
) -> None:
    """Register a device and print its password, once."""
    from homecare.broker import check_user, new_password
    from homecare.directory import credentials, entries, files, store
    from homecare.secrets import Vault

    url = database_url()
    password = None if ":" in device else new_password()
    entry: dict[str, Any] = {"id": device, "area": area, "kind": kind, "interval_s": interval, "password": password}
    if wearer:
        entry["wearer"] = wearer
    try:
        directory = msgspec.convert({"devices": [entry]}, entries.Directory)
    except msgspec.ValidationError as error:
        raise InputError(files.explain(str(error), {"devices": [entry]})) from None
    if password:
        check_user(device)
    if credentials.device_is_registered(url, device):
        raise InputError(f"device {device}: is registered already; `homecare device renew` gives it a new password")
    # Devices hold nothing that is sealed, so any key will do.
    store.import_directory(url, entries.Source(directory, {"devices": [f"device {device}"]}), Vault("unused"))
    if password is None:
        print(f"{device}: a ':' cannot stand in the broker's password file.")
        print(f"Give it a client certificate whose common name is {device} (deploy/mosquitto/mosquitto.conf says how).")
        return
    print(f"user      {device}\npassword  {password}\ntopics    care/v1/{area}/{device}/…")
    print(f"It is shown this once. {NEXT}")


@app.command()
def renew(device: Annotated[str, typer.Argument(help="A registered device's id.")]) -> None:
    """Give a device a new password and print it, once."""
    from homecare.broker import check_user, new_password
    from homecare.directory import credentials

    check_user(device)
    password = new_password()
    credentials.renew_password(database_url(), device, password)
    print(f"user      {device}\npassword  {password}\nIt is shown this once. {NEXT}")


@app.command()
def passwords(
    output: Annotated[Path | None, typer.Option(help="The broker's password file; standard output without it.")] = None,
) -> None:
    """Write the broker's password file: every device of the directory, the backend's user of HOMECARE_MQTT_URL, and,
    where HOMECARE_TRACCAR_PASSWORD is set, Traccar's.
    """
    from homecare.broker import TRACCAR_USER, hash_password, password_file, write_private
    from homecare.directory import credentials

    backend = urlsplit(setting("HOMECARE_MQTT_URL"))
    if not backend.username or not backend.password:
        raise SettingsError("HOMECARE_MQTT_URL", "must hold user and password, like mqtt://homecare:…@host")
    hashes = credentials.mqtt_passwords(database_url())
    servers = {unquote(backend.username): hash_password(unquote(backend.password))}
    if traccar := os.environ.get("HOMECARE_TRACCAR_PASSWORD"):
        servers[TRACCAR_USER] = hash_password(traccar)
    text = password_file({**hashes, **servers})
    if output is None:
        print(text, end="")
        return
    try:
        write_private(output, text)
    except OSError as error:
        raise InputError(f"{output}: {error.strerror}") from None
    also = " and Traccar's" if traccar else ""
    print(f"wrote {len(hashes)} devices and the backend's user{also} to {output}")
