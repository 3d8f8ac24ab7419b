"""What every answer carries for safety, and what is counted of it: one plain ASGI layer around the application."""

import time
from urllib.parse import urlsplit

from prometheus_client import Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter(
    "homecare_dashboard_requests_total", "HTTP requests by route and status", ["method", "route", "status"]
)
SECONDS = Histogram(
    "homecare_dashboard_request_seconds",
    "Until the answer began",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)


class Guarded:
    """Sets the security headers; `tile_url`'s host is the only one pages may load anything from besides our own."""

    def __init__(self, app: ASGIApp, *, secure: bool, tile_url: str) -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": content_security_policy(tile_url),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            "X-Frame-Options": "DENY",
        }
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/static/"):
                    versioned = b"v=" in scope["query_string"]
                    headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
                else:
                    headers.setdefault("Cache-Control", "no-store")
                route = _route(scope)
                REQUESTS.labels(scope["method"], route, message["status"]).inc()
                SECONDS.labels(route).observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, guarded_send)


def _route(scope: Scope) -> str:
    """The route's pattern, never the address itself: addresses name people and hold secrets."""
    if scope["path"].startswith("/static/"):
        return "/static"
    path = getattr(scope.get("route"), "path", "none")
    return f"/api/v1{path}" if scope["path"].startswith("/api/v1") else str(path)


def content_security_policy(tile_url: str) -> str:
    """No inline script or style, nothing from elsewhere but map tiles."""
    tiles = urlsplit(tile_url.replace("{s}", "*"))
    images = f"'self' data: {tiles.scheme}://{tiles.netloc}" if tiles.netloc else "'self' data:"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src {images}; connect-src 'self'; font-src 'self'; "
        "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
