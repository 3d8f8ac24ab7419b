"""HTTP as the library behind `apprise` speaks it (requests), held to the webhook's rules: addresses are checked as they are
connected to, https only unless allowed, no redirect is followed, answers are bounded, and a deadline ends what hangs.

The library makes its own sessions, so the class it makes them of is replaced in this process, where nothing else uses it.
"""

import contextvars
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError

from alerts.channels.addresses import REFUSED, AddressInfo, AddressRefused, Network, checked_sockets

CONNECT_S = 5.0
READ_S = 8.0
READ_BYTES = 16 * 1024


@dataclass(slots=True)
class Guard:
    """What one attempt may do, and what came of it: `problem` where it was stopped, else the last answer."""

    allow_networks: Sequence[Network]
    allow_http: bool
    problem: str | None = None
    status: int | None = None
    retry_after: str | None = None
    answer: bytes = b""
    _connections: list[HTTPConnection] = field(default_factory=list)
    _over: bool = False

    def connect(self, connection: HTTPConnection) -> socket.socket:
        """A socket to the connection's host, to an address that is allowed; AddressRefused, or another OSError."""
        if self._over:
            raise TimeoutError
        make = checked_sockets(self.allow_networks)
        failure: OSError = OSError("no address")
        for info in socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM):
            try:
                return self._connected(make(info), info)
            except OSError as error:
                failure = error
        raise failure

    def _connected(self, to: socket.socket, info: AddressInfo) -> socket.socket:
        to.settimeout(CONNECT_S)
        try:
            to.connect(info[4])
        except OSError:
            to.close()
            raise
        to.settimeout(READ_S)
        return to

    def began(self, connection: HTTPConnection) -> None:
        """Keep it, so that `end` may end it."""
        self._connections.append(connection)

    def end(self) -> None:
        """From another thread: what is on its way fails now, and nothing new begins."""
        self._over = True
        for connection in self._connections:
            with suppress(OSError):
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)


_guard: contextvars.ContextVar[Guard] = contextvars.ContextVar("guard")


@contextmanager
def guarded(guard: Guard) -> Iterator[None]:
    """Requests made in this context obey `guard`. Outside of any, none can be made."""
    requests.Session = requests.sessions.Session = GuardedSession  # type: ignore[misc]
    token = _guard.set(guard)
    try:
        yield
    finally:
        _guard.reset(token)


def _new_connection(connection: HTTPConnection, *, plain: bool) -> socket.socket:
    guard = _guard.get()
    if plain and not guard.allow_http:
        guard.problem = "http_not_allowed"
        raise NewConnectionError(connection, guard.problem)
    try:
        made = guard.connect(connection)
    except OSError as error:
        guard.problem = REFUSED if isinstance(error, AddressRefused) else type(error).__name__
        raise NewConnectionError(connection, guard.problem) from error
    guard.began(connection)
    return made


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _new_connection(self, plain=True)


class _Tls(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _new_connection(self, plain=False)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _Tls


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}


class GuardedSession(requests.Session):
    """Without proxies and `.netrc`; every answer read to READ_BYTES and no further."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.mount("https://", _Adapter())
        self.mount("http://", _Adapter())

    def request(self, method: Any, url: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        guard = _guard.get()
        kwargs |= {"allow_redirects": False, "stream": True, "timeout": (CONNECT_S, READ_S), "verify": True}
        try:
            answer = super().request(method, url, **{**kwargs, "proxies": None})
        except requests.RequestException as error:
            guard.problem = guard.problem or type(error).__name__
            raise
        guard.status, guard.retry_after = answer.status_code, answer.headers.get("Retry-After")
        guard.answer = answer._content = _bounded(answer)
        answer.close()
        return answer


def _bounded(answer: requests.Response) -> bytes:
    """The beginning of the body; a long, slow or broken one is cut off there, and its status stands."""
    body = b""
    try:
        while len(body) < READ_BYTES and (chunk := answer.raw.read1(READ_BYTES - len(body))):
            body += chunk
    except (HTTPError, OSError):
        pass
    return body
