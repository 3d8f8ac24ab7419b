"""The services themselves: what other tests take for granted about them."""

import aiomqtt
import psycopg
import pytest
from playwright.async_api import Page

from homecare.broker import Broker
from tests.services.postgres import TimescaleServer
from tests.services.processes import Processes


def fetch(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as db:
        row = db.execute(query.encode()).fetchone()
    return row and row[0]


def test_database_is_migrated_and_has_timescaledb(database_url: str) -> None:
    assert fetch(database_url, "select count(*) > 0 from schema_migration")
    assert fetch(database_url, "select extversion from pg_extension where extname = 'timescaledb'")
    assert fetch(database_url, "show fsync") == "on"


def test_plain_database_is_migrated_and_has_no_extension(plain_database_url: str) -> None:
    assert fetch(plain_database_url, "select count(*) > 0 from schema_migration")
    assert fetch(plain_database_url, "select string_agg(extname, ',') from pg_extension") == "plpgsql"


def test_each_test_has_a_database_of_its_own(database_url: str, empty_database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("create table only_here (x int)")
    assert fetch(empty_database_url, "select to_regclass('only_here') is null")
    assert fetch(empty_database_url, "select to_regclass('schema_migration') is null")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_server_comes_back_with_what_was_committed(timescale: TimescaleServer, database_url: str, how: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("create table kept as select 42 as answer")
        getattr(timescale, how)()
        with pytest.raises(psycopg.OperationalError):
            db.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database_url)
    timescale.start()
    assert fetch(database_url, "select answer from kept") == 42


async def test_browser_runs_scripts_and_has_chinese(page: Page) -> None:
    await page.set_content("<p>跌倒</p><script>document.title = navigator.language</script>")
    assert await page.title() == "zh-CN"
    assert await page.inner_text("p") == "跌倒"


async def test_broker_lets_a_device_in_after_set_users_and_nobody_else(broker: Broker) -> None:
    broker.set_users({"band-1": "a password"})

    def client(user: str, password: str) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", broker.port, username=user, password=password, identifier=user)

    async with client("band-1", "a password") as device:
        await device.publish("care/v1/520201/band-1/status", b"{}", qos=1)
    with pytest.raises(aiomqtt.MqttError):
        async with client("band-1", "another"):
            pass


async def test_processes_are_the_real_command_with_the_tests_settings(processes: Processes) -> None:
    process = await processes.start("migrate", ready=False)
    assert await process.ended() == 0, process.tail()


async def test_settings_given_to_one_process_replace_the_common_ones(processes: Processes) -> None:
    process = await processes.start("migrate", ready=False, database_url="postgresql://127.0.0.1:1/nowhere")
    assert await process.ended() == 1
    assert "database" in process.tail()
