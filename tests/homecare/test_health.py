"""The health endpoints say what is and what is not ready."""

import aiohttp

from homecare.health import start_health
from tests.services.ports import free_port


async def test_readiness_names_what_is_missing() -> None:
    async def yes() -> bool:
        return True

    async def broken() -> bool:
        raise OSError("no such broker")

    port = free_port()
    runner = await start_health("127.0.0.1", port, {"database": yes, "broker": broken})
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            async with http.get("/healthz") as answer:
                assert answer.status == 200
            async with http.get("/readyz") as answer:
                assert answer.status == 503
                assert await answer.json() == {"database": True, "broker": False}
            async with http.get("/metrics") as answer:
                assert "process_cpu_seconds_total" in await answer.text()
    finally:
        await runner.cleanup()
