"""`python -m tests.bench [--only PART …]`: measures, prints metric, result and goal, writes build/bench.json."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from homecare.logs import configure_logs
from tests.bench import batches, latency, million, node_red, shards, sos, throughput
from tests.bench.goals import Results
from tests.bench.say import Say, say
from tests.bench.site import Site, open_site
from tests.services.errors import ServiceMissing

OUTPUT = Path(__file__).parents[2] / "build/bench.json"
Measure = Callable[[Site, Results, Say], Awaitable[None]]
INGEST: Mapping[str, Measure] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "sos": sos.measure,
    "batches": batches.measure,
    "million": million.measure,
    "shards": shards.measure,
    "node_red": node_red.measure,
}
"""The parts of the telemetry lane, in the order in which they run."""
PARTS: Mapping[str, Mapping[str, Measure]] = {"ingest": INGEST}


def main() -> int:
    """Status 0 where every goal that was measured is met, else 1; 2: it cannot run here."""
    names = sorted({*PARTS, *(name for part in PARTS.values() for name in part)})
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help="this part alone; may be given again")
    only = parser.parse_args().only or names
    configure_logs("console", "warning", "bench")
    results = Results()
    try:
        asyncio.run(_run(only, results))
    except ServiceMissing as missing:
        sys.stderr.write(f"not measured: {missing}\n")
        return 2
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_bytes(results.report())
    sys.stdout.write(results.table() + "\n")
    return 0 if results.all_met() else 1


async def _run(only: list[str], results: Results) -> None:
    with open_site() as site:
        for part, measures in PARTS.items():
            for name, measure in measures.items():
                if part in only or name in only:
                    say(f"{part}: {name}")
                    await measure(site, results, say)


if __name__ == "__main__":
    sys.exit(main())
