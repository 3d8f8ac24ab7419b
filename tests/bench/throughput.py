"""How many messages a second: the contenders take turns, so that whatever else the machine does hits all alike."""

from collections import defaultdict

import psycopg

from tests.bench.goals import Results
from tests.bench.pace import Turn, drive, rival, watched
from tests.bench.rival import TABLE
from tests.bench.say import Say
from tests.bench.site import Site

ROUNDS = 6
PRODUCT_S = 10.0
"""Of each of the product's turns: 60 s in all."""
RIVALS = {"limit": 10.0, "usual": 5.0, "paho_pipeline": 5.0}
NAMES = {"limit": "limit_msg_per_s", "usual": "usual_msg_per_s", "paho_pipeline": "paho_msg_per_s"}
RATIOS = {"limit": "ingest_vs_limit", "usual": "ingest_vs_usual", "paho_pipeline": "ingest_vs_paho"}


async def measure(site: Site, results: Results, say: Say) -> None:
    """ingest_msg_per_s and what it is compared with, cpu_us_per_msg, bytes_per_row."""
    directory = site.make_directory("bench_devices", devices=10_000)
    empty = site.make_empty("bench_rivals")
    turns: dict[str, list[Turn]] = defaultdict(list)
    for number in range(1, ROUNDS + 1):
        for name, seconds in RIVALS.items():
            turns[name].append(await rivals_turn(site, empty, name, seconds))
            say(f"round {number}/{ROUNDS} {name:14} {turns[name][-1].rate:8,.0f} msg/s")
        turn, size = await products_turn(site, directory, PRODUCT_S)
        turns["product"].append(turn)
        cpu = turn.cpu_s / turn.messages * 1e6
        say(f"round {number}/{ROUNDS} {'this product':14} {turn.rate:8,.0f} msg/s, {cpu:.1f} us CPU each")
        if number == ROUNDS:
            results.add("bytes_per_row", size)
    product = rate(turns["product"])
    results.add("ingest_msg_per_s", product)
    results.add(
        "cpu_us_per_msg", sum(t.cpu_s for t in turns["product"]) / sum(t.messages for t in turns["product"]) * 1e6
    )
    for name in RIVALS:
        results.add(NAMES[name], rate(turns[name]))
        results.add(RATIOS[name], product / rate(turns[name]))


def rate(turns: list[Turn]) -> float:
    """Over all turns, messages/s."""
    return sum(turn.messages for turn in turns) / sum(turn.seconds for turn in turns)


async def rivals_turn(site: Site, empty: str, name: str, seconds: float) -> Turn:
    """One of RIVALS, on its own broker and database."""
    with site.database(empty) as url, site.broker() as broker:
        async with rival(name, broker, url) as consumer:
            turn = await drive(site, broker, consumer, seconds)
        with psycopg.connect(url) as db:
            stored = db.execute(f"select count(*) from {TABLE}".encode()).fetchone()
    assert stored == (turn.published,), f"{stored} rows of {turn.published}"
    return turn


async def products_turn(site: Site, directory: str, seconds: float, **options: float) -> tuple[Turn, float]:
    """(what the real `homecare ingest` did, bytes on disk of a row with its index)."""
    with site.database(directory) as url, site.broker() as broker:
        async with site.processes(url, broker) as processes, watched(await processes.start("ingest")) as consumer:
            turn = await drive(site, broker, consumer, seconds, **options)
        with psycopg.connect(url) as db:
            found = db.execute(
                "select count(*), (select sum(total_bytes) from chunks_detailed_size('sample')) from sample"
            ).fetchone()
    assert found is not None
    assert found[0] == turn.published * options.get("samples", 1), f"{found[0]} rows"
    return turn, float(found[1]) / found[0]
