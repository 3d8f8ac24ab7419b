"""The lane: nothing acknowledged before it is stored, nothing lost, nothing twice, nothing bad stops what is behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from homecare.clock import wall_clock
from ingest import measures
from ingest.hearing import SETTLING_MS
from ingest.pipeline import Lane
from ingest.store import Store
from tests.ingest.home import Home, open_store, register, trigger
from tests.ingest.small import GivenSource, SmallChecks, SmallRules, message, until
from tests.services.postgres import TimescaleServer


@asynccontextmanager
async def running(lane: Lane, source: GivenSource) -> AsyncIterator[None]:
    task = asyncio.create_task(lane.run(source), name="lane")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled(), task.exception()


@pytest.fixture
def source() -> GivenSource:
    return GivenSource()


@pytest.fixture
def rules() -> SmallRules:
    return SmallRules()


def seqs(db: psycopg.Connection) -> list[int]:
    return [seq for (seq,) in db.execute("select seq from sample order by seq").fetchall()]


def keys(db: psycopg.Connection) -> list[str]:
    return [key for (key,) in db.execute("select key from trigger order by key").fetchall()]


def retries() -> float:
    return float(measures.RETRIES._value.get())


async def test_batches_are_stored_and_acknowledged_in_order(
    store: Store, home: Home, db: psycopg.Connection, source: GivenSource, rules: SmallRules
) -> None:
    given = [source.give(*(message(home.handset, 10 * n + m) for m in range(10))) for n in range(20)]
    async with running(Lane(SmallChecks(), rules, store), source):
        await until(lambda: len(source.acknowledged) == 20)
    assert source.acknowledged == given
    assert seqs(db) == list(range(200))
    assert rules.seen == list(range(200))


async def test_sample_and_trigger_are_stored_together_and_once(
    store: Store, home: Home, db: psycopg.Connection, source: GivenSource, rules: SmallRules
) -> None:
    async with running(Lane(SmallChecks(), rules, store), source):
        for _ in range(2):
            source.give(message(home.handset, 1, heart_rate=130))
        await until(lambda: len(source.acknowledged) == 2)
    assert keys(db) == [f"high:{home.handset}:1"]
    assert seqs(db) == [1]


async def test_database_away_for_a_while_costs_nothing(
    timescale: TimescaleServer, database_url: str, source: GivenSource, rules: SmallRules
) -> None:
    home = register(database_url)
    async with open_store(database_url) as store, running(Lane(SmallChecks(), rules, store), source):
        source.give(message(home.handset, 0))
        await until(lambda: source.acknowledged)
        timescale.kill()
        before = retries()
        for seq in (1, 2, 3, 4):
            source.give(message(home.handset, seq, heart_rate=130))
        await until(lambda: retries() >= before + 2)
        assert len(source.acknowledged) == 1
        timescale.start()
        await until(lambda: len(source.acknowledged) == 5, within=20)
    with psycopg.connect(database_url) as db:
        assert seqs(db) == [0, 1, 2, 3, 4]
        assert len(keys(db)) == 4
    assert rules.seen == [0, 1, 2, 3, 4], "a retry must not move the rules' state on"


async def test_memory_is_bounded_while_the_database_is_away(
    timescale: TimescaleServer, database_url: str, source: GivenSource, rules: SmallRules
) -> None:
    home = register(database_url)
    async with open_store(database_url) as store, running(Lane(SmallChecks(), rules, store), source):
        timescale.stop()
        before = retries()
        for seq in range(50):
            source.give(message(home.handset, seq))
        await until(lambda: retries() > before)
        assert len(rules.seen) <= 3  # one being written, one ready, one waiting to be
        timescale.start()
        await until(lambda: len(source.acknowledged) == 50, within=20)


async def test_connection_lost_in_the_middle_of_a_commit(
    store: Store, home: Home, db: psycopg.Connection, url: str, source: GivenSource, rules: SmallRules
) -> None:
    async with running(Lane(SmallChecks(), rules, store), source):
        with psycopg.connect(url) as locking:
            locking.execute("lock table sample in exclusive mode")
            source.give(message(home.handset, 1, heart_rate=130))
            waiting = "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            await until(lambda: db.execute(waiting).fetchall())
            before = retries()
            db.execute(f"select pg_terminate_backend(pid) from ({waiting}) w")
            await until(lambda: retries() > before)
            assert not source.acknowledged
        await until(lambda: source.acknowledged)
    assert seqs(db) == [1]
    assert len(keys(db)) == 1


@pytest.mark.parametrize("bad", [0, 7, 19])
async def test_message_the_database_refuses_is_singled_out(
    store: Store, home: Home, db: psycopg.Connection, source: GivenSource, rules: SmallRules, bad: int
) -> None:
    messages = [message(home.handset, seq, heart_rate=130 if seq == 3 else 70) for seq in range(20)]
    messages[bad] = message(home.handset, bad, model="nul\0")
    async with running(Lane(SmallChecks(), rules, store), source):
        source.give(*messages)
        source.give(message(home.handset, 20))
        await until(lambda: len(source.acknowledged) == 2)
    assert seqs(db) == [seq for seq in range(21) if seq != bad]
    assert keys(db) == [f"high:{home.handset}:3"]
    entry = db.execute("select topic, payload, reason, detail, times from quarantine").fetchall()
    assert [row[:3] for row in entry] == [(messages[bad].topic, messages[bad].payload, "bad_schema")]
    assert "NUL" in entry[0][3]


async def test_trigger_the_database_refuses_takes_nothing_with_it(
    store: Store,
    home: Home,
    db: psycopg.Connection,
    source: GivenSource,
    rules: SmallRules,
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    rules.said = [trigger("bad", home.handset, text="\0"), trigger("good", home.handset)]
    async with running(Lane(SmallChecks(), rules, store), source):
        source.give(message(home.handset, 1))
        await until(lambda: source.acknowledged)
    assert keys(db) == ["good"]
    assert seqs(db) == [1]


async def test_rules_that_fail_do_not_stop_the_measurements(
    store: Store, home: Home, db: psycopg.Connection, source: GivenSource, rules: SmallRules
) -> None:
    failures = measures.RULE_FAILURES._value.get()
    rules.fails = True
    async with running(Lane(SmallChecks(), rules, store), source):
        source.give(message(home.handset, 1))
        await until(lambda: source.acknowledged)
    assert seqs(db) == [1]
    assert measures.RULE_FAILURES._value.get() == failures + 1


async def test_what_is_in_hand_is_finished_when_asked_to_stop(
    store: Store, home: Home, db: psycopg.Connection, url: str, source: GivenSource, rules: SmallRules
) -> None:
    lane = asyncio.create_task(Lane(SmallChecks(), rules, store).run(source))
    with psycopg.connect(url) as locking:
        locking.execute("lock table sample in exclusive mode")
        source.give(message(home.handset, 1))
        source.give(message(home.handset, 2))
        await until(lambda: rules.seen == [1, 2])
        lane.cancel()
        await asyncio.sleep(0)
        assert not lane.done()
    await asyncio.wait({lane})
    assert lane.cancelled()
    assert len(source.acknowledged) == 2
    assert seqs(db) == [1, 2]


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = wall_clock()

    def __call__(self) -> int:
        return self.now


async def test_silence_is_told_only_while_everything_is_heard(
    store: Store, home: Home, db: psycopg.Connection, source: GivenSource, rules: SmallRules
) -> None:
    clock = Hand()
    source.connected = False
    async with running(Lane(SmallChecks(), rules, store, clock=clock, sweep_s=0.01), source):
        rules.silent.append(home.handset)
        await asyncio.sleep(0.05)
        assert not rules.listening_since
        source.connected = True
        await until(lambda: rules.listening_since == [clock.now])
        assert not rules.swept
        clock.now += SETTLING_MS
        await until(lambda: keys(db) == [f"silent:{home.handset}"])
        source.connected = False
        swept = len(rules.swept)
        await asyncio.sleep(0.05)
        assert len(rules.swept) <= swept + 1
        source.connected = True
        await until(lambda: len(rules.listening_since) == 2)


async def test_sweep_stands_still_while_a_batch_waits_for_the_rules(
    store: Store, home: Home, url: str, source: GivenSource, rules: SmallRules
) -> None:
    clock = Hand()
    async with running(Lane(SmallChecks(), rules, store, clock=clock, sweep_s=0.01), source):
        await until(lambda: rules.listening_since)
        clock.now += SETTLING_MS
        await until(lambda: rules.swept and rules.swept[-1] == clock.now)
        with psycopg.connect(url) as locking:
            locking.execute("lock table sample in exclusive mode")
            for seq in range(4):
                source.give(message(home.handset, seq))
            await until(lambda: len(rules.seen) == 2)
            heard_until = clock.now
            clock.now += 60_000
            await asyncio.sleep(0.05)
            assert rules.swept[-1] == heard_until
        await until(lambda: rules.swept[-1] == clock.now)
        await until(lambda: len(source.acknowledged) == 4)
