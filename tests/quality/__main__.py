"""`python -m tests.quality [--only PART …]`: measures, prints metric, result and goal, writes build/quality.json."""

import argparse
import importlib
import sys
from pathlib import Path
from typing import cast

from tests.bench.goals import Results
from tests.bench.say import say
from tests.quality import DataMissing, Part

OUTPUT = Path(__file__).parents[2] / "build/quality.json"
PARTS = ("tihm", "news2", "geofence", "wandering", "fall")
"""The modules of this package that measure, in the order in which they run."""


def main() -> int:
    """Status 0 where every goal that was measured is met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part alone; may be given again")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the figures are written")
    arguments = parser.parse_args()
    results = Results({})
    for name in arguments.only or PARTS:
        say(name)
        run(cast("Part", importlib.import_module(f"tests.quality.{name}")), results)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(results.report())
    sys.stdout.write(results.table() + "\n")
    return 0 if results.all_met() else 1


def run(part: Part, results: Results) -> None:
    """Measure one part. KeyError where it gives a metric without a goal, or not every metric that has one."""
    results.goals |= part.GOALS
    try:
        measured = part.measure()
    except DataMissing as missing:
        results.skip(str(missing), *part.GOALS)
        return
    if missing_metrics := part.GOALS.keys() - measured.keys():
        raise KeyError(f"not measured: {', '.join(sorted(missing_metrics))}")
    for name, value in measured.items():
        results.add(name, value)


if __name__ == "__main__":
    sys.exit(main())
