"""/healthz, /readyz and /metrics for the processes that have no other HTTP."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], Awaitable[bool]]
"""Is this one thing ready now?"""


async def readiness(checks: Mapping[str, Check]) -> tuple[bool, dict[str, bool]]:
    """(all ready, each check's answer); a check that raises is not ready."""
    answers = {}
    for name, check in checks.items():
        try:
            answers[name] = await check()
        except Exception:  # noqa: BLE001 — whatever went wrong, the answer is "not ready"
            answers[name] = False
    return all(answers.values()), answers


async def start_health(host: str, port: int, checks: Mapping[str, Check]) -> web.AppRunner:
    """Serve until the returned runner's `cleanup()`. OSError where the port is taken."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readyz(_: web.Request) -> web.Response:
        ready, answers = await readiness(checks)
        return web.json_response(answers, status=200 if ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
