"""Memory given up goes back to the machine, however large the arrays were that were dropped before."""

import subprocess
import sys

HOLES = """
import os
import numpy as np
from homecare.memory import return_large_blocks

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

assert {ask}
del_first = np.ones(30 << 20, np.int8)
del del_first
below, above = np.ones(20 << 20, np.int8), np.ones(20 << 20, np.int8)
before = held()
del below
print(before - held() > 15 << 20)
"""


def test_a_large_array_leaves_no_hole() -> None:
    told = {}
    for ask in ("return_large_blocks()", "True"):
        code = HOLES.format(ask=ask)
        told[ask] = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True).stdout
    assert told == {"return_large_blocks()": "True\n", "True": "False\n"}
