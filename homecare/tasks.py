"""How a process runs: its named tasks in one group, SIGTERM and SIGINT as a request to stop, an exit status at the end."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import structlog

from homecare.errors import HomecareError

log = structlog.get_logger()
DRAIN_S = 8.0
"""How long tasks may take to finish what they hold after SIGTERM; the contract allows the process 10 s."""

Main = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


async def run_tasks(stop: asyncio.Event, tasks: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Run all until `stop` is set, then cancel them. A task that ends by itself before that, or fails, ends all.

    A task that must finish what it holds catches CancelledError or watches `stop` itself; it has `DRAIN_S`.
    """
    running = {asyncio.create_task(task, name=name) for name, task in tasks.items()}
    stopper = asyncio.create_task(stop.wait(), name="stop")
    told: asyncio.Task[Any] | None = None
    try:
        done, _ = await asyncio.wait({*running, stopper}, return_when=asyncio.FIRST_COMPLETED)
        for task in done & running:
            if not stop.is_set():
                told = task  # whoever called learns of this one by the exception
                task.result()
                raise HomecareError(f"task {task.get_name()} ended by itself")
    finally:
        stopper.cancel()
        for task in running:
            task.cancel()
        if running:
            _, stuck = await asyncio.wait(running, timeout=DRAIN_S)
            for task in stuck:
                log.error("task_stuck", task=task.get_name())
        for task in running:
            if task is not told and task.done() and not task.cancelled() and (error := task.exception()):
                log.error("task_failed", task=task.get_name(), error=str(error), kind=type(error).__name__)


def run(main: Main) -> int:
    """Run `main(stop)` until it returns; SIGTERM and SIGINT set `stop`. Returns the exit status; errors pass through."""

    async def guarded() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, stop.set)
        await main(stop)
        return 0

    return asyncio.run(guarded())


async def retry(
    attempt: Callable[[], Awaitable[Any]], *, what: str, on: type[Exception], first_s: float = 0.2, most_s: float = 5.0
) -> Any:
    """Call `attempt` until it does not raise `on`, with doubling pauses up to `most_s`; logs each failure."""
    pause = first_s
    while True:
        try:
            result = await attempt()
        except on as error:
            log.warning("retrying", what=what, problem=str(error), pause_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, most_s)
        else:
            raise_if_cancelled()
            return result


def raise_if_cancelled() -> None:
    """CancelledError if this task was asked to end and something it awaited swallowed that.

    Before Python 3.12 `asyncio.wait_for`, by which psycopg waits, does so when the answer comes at the same moment.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
