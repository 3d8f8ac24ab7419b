"""Two processes for two halves of the areas, against one for all: only where there are cores for them."""

import os

from tests.bench.goals import Results
from tests.bench.say import Say
from tests.bench.site import Site

CORES = 4
"""Two processes, a broker and a database must not wait for each other's."""


async def measure(site: Site, results: Results, say: Say) -> None:
    """shards_2_vs_1."""
    cores = os.cpu_count() or 1
    results.skip(f"{cores} cores, shared with the broker and the database", "shards_2_vs_1")
