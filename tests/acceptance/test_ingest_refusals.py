"""`homecare ingest` that cannot start: one line that names what is missing, and a status."""

import pytest

from homecare.broker import Broker
from tests.services.processes import Processes


@pytest.mark.parametrize(
    ("settings", "status", "named"),
    [
        ({"database_url": "postgresql://nobody@127.0.0.1:1/none"}, 1, "database"),
        ({"mqtt_url": "mqtt://homecare:x@127.0.0.1:1"}, 1, "MQTT broker"),
        ({"mqtt_url": "127.0.0.1"}, 2, "HOMECARE_MQTT_URL"),
        ({"secret_key": "short"}, 2, "HOMECARE_SECRET_KEY"),
        ({"mqtt_receive_maximum": "0"}, 2, "HOMECARE_MQTT_RECEIVE_MAXIMUM"),
    ],
)
async def test_what_is_missing_at_the_start_is_said_in_one_line(
    processes: Processes, settings: dict[str, str], status: int, named: str
) -> None:
    await assert_ends(processes, status, named, **settings)


async def test_database_that_nobody_migrated_is_said_in_one_line(processes: Processes, empty_database_url: str) -> None:
    await assert_ends(processes, 1, "run `homecare migrate`", database_url=empty_database_url)


async def test_wrong_password_of_the_broker_is_said_in_one_line(processes: Processes, broker: Broker) -> None:
    await assert_ends(processes, 1, "MQTT broker", mqtt_url=f"mqtt://homecare:wrong@127.0.0.1:{broker.port}")


async def test_wrong_shard_is_wrong_use(processes: Processes) -> None:
    process = await processes.start("ingest", "--shard", "5/4", ready=False)
    assert await process.ended() == 2
    assert "--shard '5/4'" in process.tail()


async def assert_ends(processes: Processes, status: int, named: str, **settings: str) -> None:
    process = await processes.start("ingest", ready=False, **settings)
    assert await process.ended(within=20) == status
    said = [line for line in process.tail().splitlines() if line.startswith("homecare: ")]
    assert len(said) == 1, process.tail()
    assert named in said[0]
    assert "Traceback" not in process.tail()
