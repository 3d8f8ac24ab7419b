"""`homecare demo`: one command, everything runs, the fall is escalated; at the end nothing of it is left."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.services.inventory import mosquitto

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("homecare")
ENDS_WITHIN_S = 10.0

pytestmark = pytest.mark.slow


class Demo:
    """A running `homecare demo` and the lines it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    @classmethod
    async def start(cls, *arguments: str, language: str = "C.UTF-8") -> "Demo":
        process = await asyncio.create_subprocess_exec(
            "setpriv",
            "--pdeathsig",
            "KILL",
            PROGRAM,
            "demo",
            *arguments,
            env=os.environ | {"LC_ALL": language},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return cls(process)

    async def line(self, pattern: str, within: float = 60.0) -> re.Match[str]:
        """The next line that holds `pattern`."""
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(within):
                while raw := await self.process.stdout.readline():
                    self.lines.append(raw.decode())
                    if found := re.search(pattern, self.lines[-1]):
                        return found
        except TimeoutError:
            pass
        raise AssertionError(f"no line like {pattern} within {within} s:\n{''.join(self.lines)}")

    async def ended(self, within: float = ENDS_WITHIN_S) -> int:
        """Read to the end; the exit status."""
        assert self.process.stdout is not None
        async with asyncio.timeout(within):
            self.lines += (await self.process.stdout.read()).decode().splitlines(keepends=True)
            return await self.process.wait()

    async def stop(self) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
            await self.ended(ENDS_WITHIN_S + 5)

    def children(self) -> list[int]:
        """Process ids of all it has started, and what they have started."""
        parents: dict[int, list[int]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(folder.name))
        found, waiting = [], [self.process.pid]
        while waiting:
            own = parents.get(waiting.pop(), [])
            found += own
            waiting += own
        return found


async def gone(pids: list[int], within: float = ENDS_WITHIN_S) -> None:
    """Wait until none of these processes runs."""
    deadline = time.monotonic() + within
    while left := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < deadline, f"still running: {left}"
        await asyncio.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(autouse=True)
def needs_mosquitto() -> None:
    mosquitto()


@pytest.fixture
async def bystander() -> AsyncIterator[int]:
    """A process of somebody else's, which nobody may end."""
    process = await asyncio.create_subprocess_exec("sleep", "600")
    yield process.pid
    assert process.returncode is None, "somebody ended a process that was not theirs"
    process.kill()
    await process.wait()


async def test_check_verifies_the_night_fall_and_leaves_nothing(bystander: int) -> None:
    began = time.monotonic()
    demo = await Demo.start("--check")
    await demo.line("dashboard")
    children = demo.children()
    assert len(children) >= 5
    status = await demo.ended(90 - (time.monotonic() - began))
    text = "".join(demo.lines)
    assert status == 0, text
    for step in (
        "acknowledged by the backend after its commit",
        "first contact C-0035 told, signature right",
        "second contact N-06 told, signature right",
        "acknowledged by the page behind the link",
        "C-0035 hears that somebody has it",
        "database: event, alert, steps, notifications, samples, log, all once",
        "all is right",
    ):
        assert step in text
    await gone(children, 1)


async def test_check_fails_where_a_part_fails(tmp_path: Path) -> None:
    demo = await Demo.start("--check", "--data", str(tmp_path / "data"))
    await demo.line("alerts ")
    # Without it the fall is told, but nothing that was measured is stored.
    os.kill(_child(demo, "ingest"), signal.SIGKILL)
    status = await demo.ended(60)
    assert status == 1, demo.lines
    assert demo.lines[-1].startswith("homecare: database: telemetry_samples is 0"), demo.lines


async def test_fall_is_escalated_within_a_minute_and_ctrl_c_ends_everything(tmp_path: Path, bystander: int) -> None:
    demo = await Demo.start("--data", str(tmp_path / "data"))
    try:
        url = (await demo.line(r"(http://127\.0\.0\.1:\d+/)")).group(1)
        password = (await demo.line(r"demo +password +(\S+)")).group(1)
        async with aiohttp.ClientSession() as http, http.get(url) as page:
            assert page.status == 200
            assert "password" in await page.text()
        await demo.line(r"fall: C-0035 is told")
        await demo.line(r"fall: nobody has answered; N-06 is told \(step 2\)")
        # In whatever order these three arrive.
        for _ in range(3):
            await demo.line(r"N-06 opened the link and acknowledged|fall: (C-0035|N-06) hears that somebody has it")
        assert len({line[10:] for line in demo.lines[-3:]}) == 3
        children = demo.children()
        assert len(children) >= 6
        demo.process.send_signal(signal.SIGINT)
        assert await demo.ended() == 0
        await gone(children, 0.5)
        for name in ("secrets.json", "directory.json"):
            assert (tmp_path / "data" / name).stat().st_mode & 0o077 == 0

        again = await Demo.start("--data", str(tmp_path / "data"), language="zh_CN.UTF-8")
        try:
            assert (await again.line(r"密码 +(\S+)")).group(1) == password
            assert not any("sample directory" in line for line in again.lines)
            other = await Demo.start("--data", str(tmp_path / "data"))
            assert await other.ended() == 2
            assert "another demo is running on this folder" in other.lines[-1]
        finally:
            await again.stop()
    finally:
        await demo.stop()


async def test_the_readme_connects_a_first_device(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = readme.partition("```bash\n")[2].partition("```")[0]
    home = "~/.local/share/homecare-demo"
    assert home in commands
    demo = await Demo.start("--data", str(tmp_path / "data"))
    try:
        await demo.line("Ctrl-C")
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", commands.replace(home, str(tmp_path / "data"))),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            said, _ = await shell.communicate()
        assert shell.returncode == 0, said.decode()
        ack = json.loads(said.decode().splitlines()[-1])
        assert ack == {"boot": 1, "seq": 1, "alert": ack["alert"], "state": "opened"}
        assert ack["alert"]
    finally:
        await demo.stop()


async def test_what_dies_is_started_again_and_said(tmp_path: Path) -> None:
    demo = await Demo.start("--data", str(tmp_path / "data"))
    try:
        await demo.line("Ctrl-C")
        for name in ("ingest", "alerts"):
            os.kill(_child(demo, name), signal.SIGKILL)
            await demo.line(rf"{name} ended \(signal SIGKILL\)")
            await demo.line(rf"{name} runs again")
        broker = next(pid for pid in demo.children() if _command(pid)[:1] == [mosquitto()])
        os.kill(broker, signal.SIGKILL)
        await demo.line("broker runs again")
        # With all of that, the fall is not lost.
        await demo.line(r"fall: N-06 hears that somebody has it", 90)
    finally:
        await demo.stop()


async def test_killed_demo_takes_all_its_processes_with_it(tmp_path: Path) -> None:
    demo = await Demo.start("--data", str(tmp_path / "data"))
    await demo.line("Ctrl-C")
    children = demo.children()
    assert len(children) >= 6
    demo.process.kill()
    await demo.ended()
    await gone(children)
    again = await Demo.start("--data", str(tmp_path / "data"))
    await again.line("Ctrl-C")
    await again.stop()


async def test_taken_port_is_no_obstacle(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody else has it already: as good
            taken.bind(("127.0.0.1", 8000))
            taken.listen()
        demo = await Demo.start("--data", str(tmp_path / "data"))
        try:
            port = int((await demo.line(r"http://127\.0\.0\.1:(\d+)/")).group(1))
            assert 8000 < port < 8100
        finally:
            await demo.stop()


def _command(pid: int) -> list[str]:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def _child(demo: Demo, name: str) -> int:
    return next(pid for pid in demo.children() if _command(pid)[-1:] == [name])
