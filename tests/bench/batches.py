"""Devices that save power: messages of 60 samples."""

from tests.bench.goals import Results
from tests.bench.say import Say
from tests.bench.site import Site
from tests.bench.throughput import products_turn, rate

SAMPLES = 60
ROUNDS = 3
SECONDS = 8.0
BACKLOG = 3_000
"""Messages; as many samples as in four full batches."""


async def measure(site: Site, results: Results, say: Say) -> None:
    """samples_in_batches_msg_per_s."""
    directory = site.make_directory("bench_batches", devices=10_000)
    turns = []
    for number in range(1, ROUNDS + 1):
        turn, _ = await products_turn(site, directory, SECONDS, samples=SAMPLES, backlog=BACKLOG, window=500)
        turns.append(turn)
        say(f"round {number}/{ROUNDS} {turn.rate * SAMPLES:,.0f} samples/s")
    results.add("samples_in_batches_msg_per_s", rate(turns) * SAMPLES)
