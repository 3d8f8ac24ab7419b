"""Devices' passwords in the directory: hashes only, as the broker's password file holds them."""

import psycopg
from psycopg.types.json import Jsonb

from homecare.broker import hash_password
from homecare.database import load_queries, require_migrated, unavailable
from homecare.errors import InputError

_SQL = load_queries("homecare.directory")


def renew_password(url: str, device: str, password: str) -> None:
    """A new password for a registered device; the old one ends when the broker reads its file again. InputError."""
    with unavailable(), psycopg.connect(url) as db:
        require_migrated(db)
        if not db.execute(_SQL["set_mqtt_password"], {"id": device, "password": hash_password(password)}).fetchall():
            raise InputError(f"device {device}: not registered")
        db.execute(_SQL["record"], {"action": "device.password_renewed", "detail": Jsonb({"device": device})})


def device_is_registered(url: str, device: str) -> bool:
    """Whether the directory has it."""
    with unavailable(), psycopg.connect(url) as db:
        require_migrated(db)
        return bool(db.execute(_SQL["password_of_device"], {"id": device}).fetchall())


def mqtt_passwords(url: str) -> dict[str, str]:
    """Hash by device id: what the broker's password file holds."""
    with unavailable(), psycopg.connect(url) as db:
        require_migrated(db)
        return dict(db.execute(_SQL["mqtt_passwords"]).fetchall())
