"""`python -m tests.bench [--only PART …]`: measures, prints metric, result and goal, writes build/bench.json."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from homecare.logs import configure_logs
from tests.bench import (
    alerts,
    alerts_open,
    alerts_posts,
    batches,
    latency,
    million,
    node_red,
    rules,
    shards,
    sos,
    throughput,
)
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
ALERTS: Mapping[str, Measure] = {
    "first_post": alerts.measure,
    "steps": alerts_open.measure,
    "posts": alerts_posts.measure,
}
"""The parts from a trigger to the contacts."""
ON_SITE = {**INGEST, **ALERTS}
RULES: Mapping[str, Callable[[Results, Say], None]] = rules.PARTS
"""The parts of the rules, which need no service."""
PARTS: Mapping[str, Iterable[str]] = {"rules": RULES, "ingest": INGEST, "alerts": ALERTS}


def main() -> int:
    """Status 0 where every goal that was measured is met, else 1; 2: it cannot run here."""
    names = sorted({*PARTS, *(name for part in PARTS.values() for name in part)})
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help="this part alone; may be given again")
    parser.add_argument(
        "--anyway", action="store_true", help="try even what this machine is too small for; no figure counts"
    )
    given = parser.parse_args()
    only = given.only or names
    configure_logs("console", "warning", "bench")
    results = Results()
    try:
        asyncio.run(_run(only, results, anyway=given.anyway))
    except ServiceMissing as missing:
        sys.stderr.write(f"not measured: {missing}\n")
        return 2
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_bytes(results.report())
    sys.stdout.write(results.table() + "\n")
    return 0 if results.all_met() else 1


async def _run(only: list[str], results: Results, *, anyway: bool) -> None:
    chosen = {name for part, names in PARTS.items() for name in names if part in only or name in only}
    for name, measure_rules in RULES.items():
        if name in chosen:
            say(f"rules: {name}")
            measure_rules(results, say)
    if not chosen & ON_SITE.keys():
        return
    with open_site(anyway=anyway) as site:
        for name, measure in ON_SITE.items():
            if name in chosen:
                say(f"{'alerts' if name in ALERTS else 'ingest'}: {name}")
                await measure(site, results, say)


if __name__ == "__main__":
    sys.exit(main())
