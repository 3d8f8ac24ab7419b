"""The demo's data folder: what must be secret is made once and kept there, readable by its owner alone."""

import base64
import fcntl
import os
import secrets
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import msgspec

from homecare.broker import new_password
from homecare.directory.entries import Directory
from homecare.errors import InputError
from simulators.county import Secrets, sample_county

DIRECTORY_FILE = "directory.json"
"""The sample directory with the devices' plain passwords, for the simulated homes."""
ENVIRONMENT_FILE = "environment"
"""The running demo's settings, for a shell: `. environment`, then `homecare device add …` and the like work on it."""
BROKER_FILE = "broker.url"
"""Where the running demo's broker is, for more simulated devices."""


def default_folder() -> Path:
    """Where the demo's data survives. Root's own home is closed to the database's user, so root's is the system's place."""
    if os.geteuid() == 0 and not os.environ.get("XDG_DATA_HOME"):
        return Path("/var/lib/homecare-demo")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "homecare-demo"


class Kept(msgspec.Struct):
    """What the folder remembers from one run to the next."""

    secret_key: str
    backend_password: str
    operator_password: str
    device_passwords: dict[str, str]
    webhook_secrets: dict[str, str]
    contacts_port: int = 0
    """Where the contacts' webhooks point to; 0: nothing imported yet."""
    runs: int = 0


class Folder:
    """The demo's data folder; one demo at a time has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Others may enter, so that the database's user reaches its own folder, but not look around.
            path.mkdir(parents=True, exist_ok=True, mode=0o711)
            (path / "logs").mkdir(exist_ok=True, mode=0o700)
            self._lock: IO[str] = (path / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path}: another demo is running on this folder; give --data another one") from None
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        self.kept = self._read()

    @property
    def directory_file(self) -> Path:
        return self.path / DIRECTORY_FILE

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def keep(self) -> None:
        """Write `kept`."""
        new = self.path / "secrets.new"
        new.touch(0o600)
        new.write_bytes(msgspec.json.encode(self.kept))
        new.replace(self.path / "secrets.json")

    def write_environment(self, settings: Mapping[str, str]) -> None:
        """`settings` as lines that a shell reads."""
        path = self.path / ENVIRONMENT_FILE
        path.touch(0o600)
        path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()), "utf-8")

    def county(self, address: Callable[[str], str], first_delay_s: float) -> Directory:
        """The sample county with this folder's secrets, the contacts at `address(id)`."""

        def device_password(device: str) -> str:
            return self.kept.device_passwords.setdefault(device, new_password())

        def webhook(contact: str) -> tuple[str, str]:
            return address(contact), self.kept.webhook_secrets.setdefault(contact, _webhook_secret())

        return sample_county(Secrets(device_password, webhook, self.kept.operator_password, first_delay_s))

    def _read(self) -> Kept:
        try:
            return msgspec.json.decode((self.path / "secrets.json").read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept(secrets.token_urlsafe(48), new_password(), new_password(), {}, {})
        except msgspec.DecodeError as error:
            raise InputError(f"{self.path / 'secrets.json'}: {error}") from None


def _webhook_secret() -> str:
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()
