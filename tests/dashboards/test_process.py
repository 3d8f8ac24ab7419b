"""The process itself: ready, measured, ended in time with streams open, and one clear line where it cannot start."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import psycopg
import pytest

from tests.dashboards.town import Town
from tests.services.processes import Processes


def homecare(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOMECARE_")}
    return subprocess.run(
        [str(Path(sys.executable).with_name("homecare")), *arguments],
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def test_it_is_ready_measured_and_ends_in_time_with_streams_open(processes: Processes, town: Town) -> None:
    process = await processes.start("dashboard")
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        async with http.get(process.url + "/healthz") as answer:
            assert await answer.json() == {"alive": True}
        async with http.get(process.url + "/readyz") as answer:
            assert await answer.json() == {"database": True, "broker": True}
        async with http.get(process.url + "/login") as answer:
            proof = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
            assert proof
        form = {"login": "li", "password": "a long enough password", "csrf": proof[1]}
        async with http.post(process.url + "/login", data=form) as answer:
            assert answer.status == 200
        async with http.get(process.url + "/metrics") as answer:
            text = await answer.text()
            assert 'homecare_dashboard_requests_total{method="POST",route="/login",status="303"} 1.0' in text
        streams = [await http.get(process.url + "/events/alerts") for _ in range(5)]
        began = time.monotonic()
        assert await process.stop() == 0
        assert time.monotonic() - began < 5
        for stream in streams:
            stream.close()
    assert '"level": "error"' not in process.tail()


async def test_it_is_not_ready_without_the_broker_and_works_all_the_same(processes: Processes, town: Town) -> None:
    process = await processes.start("dashboard", ready=False, mqtt_url="mqtt://homecare:none@127.0.0.1:1")
    async with aiohttp.ClientSession() as http, asyncio.timeout(20):
        while True:
            try:
                async with http.get(process.url + "/readyz") as answer:
                    assert (answer.status, await answer.json()) == (503, {"database": True, "broker": False})
                    break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
        async with http.get(process.url + "/login") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("settings", "status", "line"),
    [
        ({"listen": "nowhere"}, 2, "HOMECARE_LISTEN: must look like"),
        ({"tile_url": "tiles"}, 2, "HOMECARE_TILE_URL: must look like"),
        ({"database_url": "postgresql://nobody@127.0.0.1:1/none"}, 1, "the database cannot be used now"),
    ],
)
async def test_a_wrong_setting_or_no_database_ends_it_with_one_line(
    processes: Processes, settings: dict[str, str], status: int, line: str
) -> None:
    process = await processes.start("dashboard", ready=False, **settings)
    assert await process.ended(20) == status
    assert process.tail().startswith("homecare: " + line)
    assert process.tail().count("\n") == 1


async def test_a_taken_port_and_an_unmigrated_database_end_it_with_one_line(
    processes: Processes, empty_database_url: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = await processes.start("dashboard", ready=False, listen=f"127.0.0.1:{port}")
        assert await process.ended(20) == 1
        assert process.tail() == f"homecare: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    process = await processes.start("dashboard", ready=False, database_url=empty_database_url)
    assert await process.ended(20) == 1
    assert re.fullmatch(r"homecare: database schema: missing .*; run `homecare migrate`\n", process.tail())


def test_the_first_operator_and_a_token_are_made_on_the_command_line(town: Town) -> None:
    database = {"HOMECARE_DATABASE_URL": town.url}
    made = homecare("operator", "add", "first", "--area", "990100", "--name", "示例值班员", **database)
    assert (made.returncode, made.stderr) == (0, "")
    assert re.search(r"^password: (\w{4}-){3}\w{4} ", made.stdout)
    assert town.one("select password_hash from operator where login = 'first'").startswith("$argon2id$")
    again = homecare("operator", "add", "first", "--area", "990100", "--name", "x", **database)
    assert (again.returncode, again.stderr) == (2, "homecare: there is an operator first already\n")
    nowhere = homecare("operator", "add", "second", "--area", "none", "--name", "x", **database)
    assert (nowhere.returncode, nowhere.stderr) == (2, "homecare: there is no area none\n")
    token = homecare("operator", "token", "first", "--scope", "alerts:read", "--days", "2", **database)
    assert (token.returncode, token.stdout[:4]) == (0, "hct_")
    assert town.one("select scopes from api_token") == ["alerts:read"]
    wrong = homecare("operator", "token", "first", "--scope", "everything", **database)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("homecare: --scope everything: must be one of alerts:read")
    assert homecare("operator", "disable", "first", **database).returncode == 0
    assert homecare("operator", "token", "first", "--scope", "alerts:read", **database).returncode == 2
    assert homecare("operator", "password", "first", "--generate", **database).returncode == 0
    assert homecare("operator", "add", "x", "--area", "a", "--name", "b").stderr == (
        "homecare: HOMECARE_DATABASE_URL: is not set\n"
    )


async def test_the_pages_come_back_with_the_database(processes: Processes, town: Town) -> None:
    process = await processes.start("dashboard")
    with psycopg.connect(town.url, autocommit=True) as db:
        db.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'dashboard'")
    async with aiohttp.ClientSession() as http, http.get(process.url + "/api/v1/alerts") as answer:
        assert answer.status == 401
    await process.ready(10)
