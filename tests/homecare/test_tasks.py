"""A process ends when it is told to, says which task failed, and waits for what tasks still hold."""

import asyncio

import pytest

from homecare.errors import BrokerUnavailable, HomecareError
from homecare.tasks import retry, run_tasks


async def forever() -> None:
    await asyncio.Event().wait()


async def test_stop_ends_all_tasks_after_they_finished_what_they_hold() -> None:
    finished = asyncio.Event()
    started = asyncio.Event()
    stop = asyncio.Event()

    async def holds_something() -> None:
        try:
            started.set()
            await forever()
        finally:
            await asyncio.sleep(0)
            finished.set()

    async def stops() -> None:
        await started.wait()
        stop.set()
        await forever()

    await run_tasks(stop, {"holder": holds_something(), "stopper": stops()})
    assert finished.is_set()


async def test_a_failing_task_ends_the_process_with_its_error() -> None:
    async def fails() -> None:
        raise BrokerUnavailable("gone")

    with pytest.raises(BrokerUnavailable, match="gone"):
        await run_tasks(asyncio.Event(), {"fails": fails(), "other": forever()})


async def test_a_task_that_just_ends_is_a_failure_too() -> None:
    async def ends() -> None:
        pass

    with pytest.raises(HomecareError, match="task ends ended by itself"):
        await run_tasks(asyncio.Event(), {"ends": ends(), "other": forever()})


async def test_retry_goes_on_until_it_works() -> None:
    tries = []

    async def works_the_third_time() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise BrokerUnavailable("not yet")
        return "done"

    assert await retry(works_the_third_time, what="test", on=BrokerUnavailable, first_s=0.001) == "done"
    assert len(tries) == 3
