"""A private Mosquitto with the project's own configuration: for the demo, and for every test that needs a broker.

It is given its folder as working directory and relative paths in the configuration, so that Mosquitto's own user reads
only that folder, even below a home directory that is closed to it.
"""

import base64
import contextlib
import hashlib
import hmac
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from homecare.errors import BrokerUnavailable, InputError

CONFIGURATION = Path(__file__).parents[1] / "deploy/mosquitto"
BACKEND_USER = "homecare"
TRACCAR_USER = "traccar"
RESERVED_USERS = frozenset({BACKEND_USER, TRACCAR_USER})
"""Names `acl` gives other rights than a device's."""
ITERATIONS = 101
"""Mosquitto 2.0's own. A device's password is 128 random bits: stretching it buys nothing."""
STARTS_WITHIN_S = 10.0
STOPS_WITHIN_S = 1.5


def new_password() -> str:
    """A device's or the backend's password: 128 random bits, safe in a URL."""
    return secrets.token_urlsafe(16)


def hash_password(password: str) -> str:
    """`password` as a line of Mosquitto's password file holds it: `$7$iterations$salt$hash`, PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def verify_password(password: str, hashed: str) -> bool:
    """Whether `hashed` is a hash of `password`."""
    _, _, iterations, salt, digest = hashed.split("$")
    ours = hashlib.pbkdf2_hmac("sha512", password.encode(), base64.b64decode(salt), int(iterations))
    return hmac.compare_digest(ours, base64.b64decode(digest))


def check_user(user: str) -> None:
    """Raises InputError where `user` cannot stand in a password file."""
    if ":" in user:
        raise InputError(
            f"device {user}: a ':' ends the name in the broker's password file; give it a client certificate instead"
        )
    if user in RESERVED_USERS:
        raise InputError(f"device {user}: the broker keeps this name for the backend")


def password_file(hashes: Mapping[str, str]) -> str:
    """The text of Mosquitto's password file: one `user:hash` a line."""
    return "".join(f"{user}:{hashed}\n" for user, hashed in sorted(hashes.items()))


def write_private(path: Path, text: str) -> None:
    """Replace `path` at once, readable by nobody but its folder's owner."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(new, owner.st_uid, owner.st_gid)
    new.replace(path)


def write_broker_files(directory: Path, *, port: int, users: Mapping[str, str], host: str = "127.0.0.1") -> None:
    """Write `mosquitto.conf`, `acl` and `passwords` for one listener on `host`:`port`.

    `users` are plain passwords by user name, or hashes (`$7$…`) as they are.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.geteuid() == 0:
        user = _unprivileged()
        os.chown(directory, user.pw_uid, user.pw_gid)
        for path in directory.iterdir():
            os.chown(path, user.pw_uid, user.pw_gid)
    conf = (CONFIGURATION / "mosquitto.conf").read_text("utf-8")
    conf, replaced = re.subn(r"(?m)^listener 1883$", f"listener {port} {host}", conf)
    if replaced != 1:
        raise InputError(f"{CONFIGURATION / 'mosquitto.conf'}: expected one line `listener 1883`")
    write_private(directory / "mosquitto.conf", conf)
    write_private(directory / "acl", (CONFIGURATION / "acl").read_text("utf-8"))
    write_passwords(directory, users)


def write_passwords(directory: Path, users: Mapping[str, str]) -> None:
    """Replace `passwords` in a broker's folder; `users` as in `write_broker_files`."""
    hashes = {user: value if value.startswith("$7$") else hash_password(value) for user, value in users.items()}
    write_private(directory / "passwords", password_file(hashes))


class Broker:
    """A Mosquitto process in `directory`, on `port` of the loopback interface (0: a free one, kept over restarts).

    `users` are plain passwords by name; the backend's own user is added. It dies with the thread that started it, so
    `start` belongs in the main thread.
    """

    def __init__(self, directory: Path, port: int = 0, users: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.port = port
        self.users: dict[str, str] = {BACKEND_USER: new_password(), **(users or {})}
        self._any_port = port == 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def url(self, user: str = BACKEND_USER) -> str:
        """`mqtt://user:password@127.0.0.1:port` of a user known in plain text."""
        return f"mqtt://{quote(user, safe='')}:{quote(self.users[user], safe='')}@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, or start it again, and wait until it accepts connections. Raises BrokerUnavailable."""
        for attempts_left in reversed(range(5)):
            if self._any_port:
                self.port = _free_port()
            write_broker_files(self.directory, port=self.port, users=self.users)
            if self._started():
                self._any_port = False
                return
            if not self._any_port or not attempts_left:
                raise BrokerUnavailable(f"Mosquitto did not start: {self.tail()}")

    def set_users(self, users: Mapping[str, str]) -> None:
        """Replace the users (plain, or hashes as they are); the backend's stays. A running broker reads them at once."""
        self.users = {BACKEND_USER: self.users[BACKEND_USER], **users}
        write_passwords(self.directory, self.users)
        self.reload()

    def reload(self) -> None:
        """SIGHUP: read configuration, ACL and passwords again; connections stay."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """SIGTERM: it saves its queues and ends."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9: what a power cut does to it."""
        self._end(signal.SIGKILL)

    def tail(self) -> str:
        """The last lines of its log, as one."""
        try:
            return " | ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:])
        except OSError:
            return "no log"

    @property
    def log(self) -> Path:
        return self.directory / "mosquitto.log"

    def _started(self) -> bool:
        command = [*_change_user(), mosquitto_program(), "-c", "mosquitto.conf"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline and self.running:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                # Somebody else may have the port: then ours is about to end.
                time.sleep(0.02)
                return self.running
            time.sleep(0.01)
        self.kill()
        return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def mosquitto_program() -> str:
    """Mosquitto's path. Raises BrokerUnavailable where it is not installed."""
    for path in (shutil.which("mosquitto"), "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"):
        if path and Path(path).exists():
            return path
    raise BrokerUnavailable("Mosquitto is not installed (on Debian: apt-get install mosquitto)")


def _unprivileged() -> pwd.struct_passwd:
    for name in ("mosquitto", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise BrokerUnavailable("no user `mosquitto` or `nobody` to run the broker as")


def _change_user() -> list[str]:
    # Mosquitto could change its user itself, but the kernel then forgets that it is to die with its parent.
    die = ["setpriv", "--pdeathsig", "TERM"]
    if os.geteuid() != 0:
        return die
    user = _unprivileged()
    return [*die, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
