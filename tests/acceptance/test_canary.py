"""The canary as it runs: pressed through the real broker, heard by its own webhook, counted, and beaten outside."""

import asyncio
import re

import aiohttp
from aiohttp import web
from psycopg import AsyncConnection

from tests.alerts.places import Directory
from tests.alerts.service import rows, until
from tests.services.ports import free_port
from tests.services.processes import Processes


async def test_presses_come_back_through_the_real_broker(processes: Processes, database_url: str) -> None:
    beats: asyncio.Queue[str] = asyncio.Queue(100)

    async def heard(request: web.Request) -> web.Response:
        await beats.put(request.path)
        return web.Response(status=200)

    app = web.Application()
    app.router.add_get("/beat", heard)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with await AsyncConnection.connect(database_url, autocommit=True) as db:
        directory = Directory(db)
        await directory.add_areas()
        await directory.add_operator("li", "990100")
        alerts = await processes.start(
            "alerts",
            canary_s="5",
            canary_listen=f"127.0.0.1:{free_port()}",
            heartbeat_url=f"http://127.0.0.1:{port}/beat",
            webhook_allow_networks="",
            webhook_allow_http="false",
        )
        async with asyncio.timeout(30):
            assert await beats.get() == "/beat"
        await until(db, "select count(*) = 1 from alert where state = 'resolved'")
        cases = await rows(db, "select area, device_id, outcome from alert")
        assert cases == [{"area": "canary", "device_id": "canary", "outcome": "technical"}]
        assert await rows(db, "select device from unknown_device") == []
        assert await rows(db, "select 1 from notification where channel_kind = 'console'") == []
        async with aiohttp.ClientSession() as http, http.get(alerts.url + "/metrics") as answer:
            metrics = await answer.text()
    found = re.search(r"^homecare_canary_seconds_sum (\S+)$", metrics, re.MULTILINE)
    assert found is not None
    assert 0 < float(found[1]) < 5
    assert await alerts.stop() == 0
    await runner.cleanup()
