"""`homecare demo`: everything on one machine. One address, one login, then a line for what happens."""

import asyncio
import contextlib
import os
import tempfile
import time
from pathlib import Path

from homecare.commands.demo_folder import Folder, default_folder
from homecare.commands.demo_system import System, port_is_free, running
from homecare.logs import configure_logs
from homecare.tasks import run, run_tasks
from simulators.contacts import Contacts, Received

ASLEEP_S = 5.0
"""How long after the call the second contact of an alert presses the button."""
WORDS = {
    "en": {
        "starting": "Starting in {path}",
        "ready": "  {name} ({seconds:.1f} s)",
        "open": "Open        {url}",
        "login": "Sign in as  {login}   password  {password}",
        "more": "More        homecare simulate scenario list   (in another terminal)",
        "end": "Ctrl-C ends everything. Logs: {logs}",
        "alert.opened": "{kind}: {contact} is told",
        "alert.escalated": "{kind}: nobody has answered; {contact} is told (step {step})",
        "alert.acknowledged": "{kind}: {contact} hears that somebody has it",
        "alert.resolved": "{kind}: {contact} hears that it is over",
        "alert.cancelled": "{kind}: {contact} hears that it was taken back",
        "answered": "{contact} opened the link and acknowledged",
        "failed": "{contact} could not acknowledge: {problem}",
        "refused": "a notification to {contact} is no good: {problem}",
        "stopping": "Ending …",
        "stopped": "All ended ({seconds:.1f} s).",
    },
    "zh": {
        "starting": "正在启动，数据目录 {path}",
        "ready": "  {name}（{seconds:.1f} 秒）",
        "open": "打开网页    {url}",
        "login": "登录用户    {login}   密码  {password}",
        "more": "更多        homecare simulate scenario list（另开终端）",
        "end": "按 Ctrl-C 全部结束。日志：{logs}",
        "alert.opened": "{kind}：已通知 {contact}",
        "alert.escalated": "{kind}：无人应答，升级通知 {contact}（第 {step} 步）",
        "alert.acknowledged": "{kind}：已告知 {contact} 有人处理",
        "alert.resolved": "{kind}：已告知 {contact} 事情结束",
        "alert.cancelled": "{kind}：已告知 {contact} 本人取消",
        "answered": "{contact} 打开链接并确认处理",
        "failed": "{contact} 未能确认：{problem}",
        "refused": "发给 {contact} 的通知有误：{problem}",
        "stopping": "正在结束……",
        "stopped": "已全部结束（{seconds:.1f} 秒）。",
    },
}


def command(check: bool = False, data: str = "") -> int:
    """Run until Ctrl-C or SIGTERM; with `check` on a fresh folder until all is verified."""
    configure_logs("console", "error", process="demo")
    if check:
        from homecare.commands.demo_check import check_demo

        with tempfile.TemporaryDirectory(prefix="homecare-demo-", ignore_cleanup_errors=True) as folder:
            # Entered by the database's own user, who is nobody; what is secret in it is closed by itself.
            Path(folder).chmod(0o711)
            return check_demo(Path(data) if data else Path(folder) / "data")
    return run(_Demo(Folder(Path(data).expanduser() if data else default_folder())).main)


def language() -> str:
    """Zh where the terminal's language is Chinese, else en."""
    spoken = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if spoken.lower().startswith("zh") else "en"


class _Demo:
    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._words = WORDS[language()]

    async def main(self, stop: asyncio.Event) -> None:
        self._say("starting", path=self._folder.path)
        began: list[float] = []

        async def note_the_end() -> None:
            await stop.wait()
            began.append(time.monotonic())
            self._say("stopping")

        noting = asyncio.create_task(note_the_end(), name="note the end")
        try:
            await run_tasks(stop, {"demo": self._live()})
        finally:
            noting.cancel()
        if began:
            self._say("stopped", seconds=time.monotonic() - began[0])

    async def _live(self) -> None:
        kept = self._folder.kept
        contacts = Contacts(kept.webhook_secrets, answer=_answer, tell=self._tell, answered=self._answered)
        port = kept.contacts_port if kept.contacts_port and port_is_free(kept.contacts_port) else 0
        async with contacts.listening(port):
            county = self._folder.county(contacts.address, first_delay_s=15)
            changed = kept.contacts_port != contacts.port
            self._folder.keep()
            async with running(self._folder, county, import_it=changed, say=self._line, step=self._step) as system:
                kept.contacts_port = contacts.port
                await self._start_homes(system)
                kept.runs += 1
                self._folder.keep()
                print()
                self._say("open", url=system.url)
                self._say("login", login="demo", password=kept.operator_password)
                if self._folder.path == default_folder():
                    self._say("more")
                self._say("end", logs=self._folder.path / "logs")
                print(flush=True)
                async with asyncio.TaskGroup() as group:
                    group.create_task(system.follow_directory(), name="follow the directory")
                    await system.supervisor.watch()

    async def _start_homes(self, system: System) -> None:
        assert system.broker is not None
        homes = system.program(
            "homes",
            "simulate",
            "homes",
            "--directory",
            str(self._folder.directory_file),
            "--broker",
            f"mqtt://127.0.0.1:{system.broker.port}",
            "--state",
            str(self._folder.path / "devices"),
            # Where somebody fell the last time, the alert may still be open, and another fall would only join it.
            "--turn",
            str(self._folder.kept.runs),
        )
        self._step("homes", await system.supervisor.start(homes))

    def _tell(self, received: Received) -> None:
        if received.problem:
            self._happened("refused", contact=received.contact, problem=received.problem)
        elif received.type in self._words:
            data = received.data
            self._happened(received.type, contact=received.contact, kind=data.get("kind"), step=data.get("step"))

    def _answered(self, contact: str, _alert: str, problem: str) -> None:
        self._happened("failed" if problem else "answered", contact=contact, problem=problem)

    def _step(self, name: str, seconds: float) -> None:
        self._say("ready", name=name, seconds=seconds)

    def _happened(self, word: str, **details: object) -> None:
        self._line(self._words[word].format(**details))

    def _say(self, word: str, **details: object) -> None:
        print(self._words[word].format(**details), flush=True)

    def _line(self, text: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def _answer(received: Received) -> float | None:
    """Families sleep at night; the neighbour and the village doctor, who are called after them, do not."""
    if received.type != "alert.escalated" or received.contact.startswith("C-"):
        return None
    return ASLEEP_S
