"""`docker compose config` of the project's file, without a daemon: what the containers would be started with."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.services.errors import ServiceMissing
from tests.services.postgres_programs import timescale_folder

PROJECT = Path(__file__).parents[2]


def compose_program() -> list[str]:
    """Docker's own plugin, or the program in the tests' Debian folder. Raises ServiceMissing."""
    asked = ["docker", "compose", "version"]
    if shutil.which("docker") and subprocess.run(asked, check=False, capture_output=True).returncode == 0:
        return ["docker", "compose"]
    if found := shutil.which("docker-compose"):
        return [found]
    program = timescale_folder() / "usr/libexec/docker/cli-plugins/docker-compose"
    if not program.exists():
        raise ServiceMissing("docker compose", "not on this machine")
    return [str(program)]


def compose_config(**environment: str) -> subprocess.CompletedProcess[str]:
    """What `docker compose config` says with these variables and no .env."""
    return subprocess.run(
        [*compose_program(), "--env-file", "/dev/null", "--profile", "monitoring", "config", "--format", "json"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def composed(**environment: str) -> dict[str, Any]:
    """The whole configuration, resolved."""
    said = compose_config(**environment)
    assert said.returncode == 0, said.stderr
    result: dict[str, Any] = json.loads(said.stdout)
    return result
