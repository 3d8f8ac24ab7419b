"""`python -m tests.bench.rules_memory DEVICES`: bytes resident once all of them have sent for some minutes."""

import os
import sys

from homecare.memory import return_large_blocks
from tests.bench import mixture, rules
from tests.bench.numbers import resident_bytes

ROWS = 10_000


def main() -> None:
    """Print the number."""
    return_large_blocks()  # as `homecare ingest` does
    devices = int(sys.argv[1])
    engine = rules.watching(devices)
    rows = min(ROWS, devices)
    for batch in mixture.batches(devices, rows, devices * rules.SETTLED_MINUTES // rows):
        rules.apply(engine, batch)
    sys.stdout.write(f"{resident_bytes(os.getpid())}\n")


if __name__ == "__main__":
    main()
