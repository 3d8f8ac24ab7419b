"""What a program costs, whoever else is on the machine."""

import os
import subprocess
from collections.abc import Sequence
from typing import BinaryIO


def cpu_seconds(command: Sequence[str], out: BinaryIO) -> float:
    """User and system time of a program, from its start to its end. CalledProcessError where it fails."""
    process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_utime + used.ru_stime
