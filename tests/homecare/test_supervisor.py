"""The supervisor, with small programs of the test's own."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from homecare import supervisor as module
from homecare.supervisor import Program, ProgramFailed, Supervisor, inherited_environment
from tests.services.ports import free_port

SERVES = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404); self.end_headers()
    def log_message(self, *_): pass
print("started", os.getpid(), flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


class Lines(list[str]):
    """What was said; a line can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def say(self, text: str) -> None:
        self.append(text)
        self._news.set()

    async def has(self, wanted: Callable[[str], bool]) -> None:
        async with asyncio.timeout(15):
            while not any(map(wanted, self)):
                self._news.clear()
                await self._news.wait()


def program(tmp_path: Path, code: str, *arguments: str, ready_url: str = "") -> Program:
    command = [sys.executable, "-c", code, *arguments]
    return Program("sample", command, inherited_environment(), tmp_path / "sample.log", ready_url)


async def test_program_is_ready_when_it_says_so_and_ends_when_it_should(tmp_path: Path) -> None:
    lines, port = Lines(), free_port()
    own = Supervisor(lines.say)
    took = await own.start(program(tmp_path, SERVES, str(port), ready_url=f"http://127.0.0.1:{port}/readyz"))
    pid = own.pid("sample")
    assert took > 0
    assert pid is not None
    await own.stop()
    assert own.pid("sample") is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert lines == []


async def test_what_dies_is_started_again(tmp_path: Path) -> None:
    lines, port = Lines(), free_port()
    own = Supervisor(lines.say)
    await own.start(program(tmp_path, SERVES, str(port), ready_url=f"http://127.0.0.1:{port}/readyz"))
    watching = asyncio.create_task(own.watch())
    first = own.pid("sample")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await lines.has(lambda line: "ended (signal SIGKILL); starting it again in 0.5 s" in line)
    await lines.has(lambda line: line == "sample runs again")
    assert own.pid("sample") not in (first, None)
    watching.cancel()
    await own.stop()


async def test_program_that_ends_while_starting_is_said_with_its_last_words(tmp_path: Path) -> None:
    own = Supervisor(Lines().say)
    failing = program(tmp_path, "print('no such thing'); raise SystemExit(3)", ready_url="http://127.0.0.1:1/readyz")
    with pytest.raises(ProgramFailed, match="sample ended with status 3: no such thing"):
        await own.start(failing)
    await own.stop()


async def test_program_that_is_never_ready_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READY_WITHIN_S", 0.5)
    own, port = Supervisor(Lines().say), free_port()
    never = program(tmp_path, SERVES, str(port), ready_url=f"http://127.0.0.1:{port}/nothing")
    with pytest.raises(ProgramFailed, match="not ready within"):
        await own.start(never)
    await own.stop()


async def test_program_that_ignores_sigterm_is_killed_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOPS_WITHIN_S", 0.5)
    lines = Lines()
    own = Supervisor(lines.say)
    await own.start(program(tmp_path, STUBBORN))
    async with asyncio.timeout(10):
        while "up" not in (tmp_path / "sample.log").read_text():  # noqa: ASYNC110  # a file tells nobody
            await asyncio.sleep(0.02)
    pid = own.pid("sample")
    assert pid is not None
    await own.stop()
    assert lines == ["sample did not end within 0.5 s: killed"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_no_setting_is_inherited_by_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMECARE_PUBLIC_URL", "https://example.invalid")
    environment = inherited_environment(listen="127.0.0.1:1")
    assert "HOMECARE_PUBLIC_URL" not in environment
    assert environment["HOMECARE_LISTEN"] == "127.0.0.1:1"
