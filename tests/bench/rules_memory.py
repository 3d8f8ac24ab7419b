"""`python -m tests.bench.rules_memory DEVICES`: bytes resident once all of them have sent for some minutes."""

import os
import sys

from homecare.memory import return_free_pages, return_large_blocks
from tests.bench import mixture, rules
from tests.bench.numbers import resident_bytes

ROWS = 10_000


def main() -> None:
    """Print the number; memory is asked for and given back as `homecare ingest` does."""
    return_large_blocks()
    devices = int(sys.argv[1])
    engine = rules.watching(devices)
    return_free_pages()
    rows = min(ROWS, devices)
    for batch in mixture.batches(devices, rows, devices * rules.SETTLED_MINUTES // rows):
        rules.apply(engine, batch)
    sys.stdout.write(f"{resident_bytes(os.getpid())}\n")


if __name__ == "__main__":
    main()
