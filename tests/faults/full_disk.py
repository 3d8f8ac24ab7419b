"""A database on a disk of its own that fills up: a tablespace on a small tmpfs, seen by the server alone."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import aiohttp
import psycopg

from tests.faults.stage import Impossible, Machine, Plan, Stage, Verdict

NAME = "small"
ROOMY = 1 << 30
FULL_FOR_S = 2.0
RETRIES = b"homecare_ingest_database_retries_total "


@asynccontextmanager
async def on_small_disk(machine: Machine, plan: Plan, random: Random) -> AsyncIterator[Stage]:
    """A stage whose database lies there. Raises Impossible."""
    if os.geteuid() != 0 or machine.server.programs.inside != "/srv":
        raise Impossible("a disk can be mounted for the server only by root, in a namespace of the server's own")
    machine.server.ensure_running()
    (machine.server.programs.directory / NAME).mkdir(exist_ok=True)
    owner = (machine.server.programs.directory / "data").stat()
    _mount(machine, "-t", "tmpfs", "-o", f"size={ROOMY},mode=0700,uid={owner.st_uid},gid={owner.st_gid}", "tmpfs")
    with psycopg.connect(machine.server.url(), autocommit=True) as db:
        db.execute(f"create tablespace {NAME} location '/srv/{NAME}'".encode())
        try:
            async with machine.stage(plan, random, tablespace=NAME) as stage:
                yield stage
        finally:
            _resize(machine, ROOMY)
            db.execute(f"drop tablespace {NAME}".encode())


async def fill_disk(stage: Stage, verdict: Verdict) -> None:
    """No room for another page; then there is room again."""
    await stage.a_moment()
    room = os.statvfs(_path(stage.machine))
    _resize(stage.machine, (room.f_blocks - room.f_bfree) * room.f_frsize + 65_536)
    try:
        await asyncio.sleep(FULL_FOR_S)
        verdict.notes["told"] = float(await _retries(stage) > 0)
        verdict.notes["outstanding_at_most"] = stage.recorder.outstanding
    finally:
        _resize(stage.machine, ROOMY)
    await stage.catch_up(verdict)


async def _retries(stage: Stage) -> float:
    """How often `ingest` says, to whoever watches it, that it could not write."""
    async with aiohttp.ClientSession() as http, http.get(stage.running.url + "/metrics") as answer:
        lines = (await answer.read()).splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(RETRIES))


def _path(machine: Machine) -> Path:
    return Path(f"/proc/{machine.server.pid}/root/srv/{NAME}")


def _resize(machine: Machine, size: int) -> None:
    if machine.server.running:
        _mount(machine, "-o", f"remount,size={size}")


def _mount(machine: Machine, *options: str) -> None:
    """In the mount namespace of the server, which ends with it."""
    programs = machine.server.programs
    folder = Path(f"/proc/{machine.server.pid}/root").readlink() / "srv" / NAME
    enter = ["nsenter", "--mount", "--target", str(machine.server.pid), "mount", *options, str(folder)]
    done = subprocess.run(enter, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Impossible(f"{programs.name}: {done.stderr.strip()}")
