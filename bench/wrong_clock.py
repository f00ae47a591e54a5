"""A command of the hub with a wrong clock: ``python -m bench.wrong_clock worker`` under
libfaketime.

Only the time of day is wrong. The monotonic clock, which measures waits, is the machine's own.
"""

from __future__ import annotations

import os
import runpy
import select
import subprocess
import sys
import time
from typing import SupportsIndex

from mediahub.env import BASE_DIR
from simulator.processes import Process
from tests.programs import program


def set_clock(process: Process, seconds: int) -> None:
    """Give this ``manage.py`` process, from its next start on, a clock that is so many seconds
    fast.
    """
    command = process.argv[2:]
    process.argv = [sys.executable, "-m", "bench.wrong_clock", *command]
    process.env = {
        **(process.env or os.environ),
        "LD_PRELOAD": _library(),
        "FAKETIME": f"{seconds:+d}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def _library() -> str:
    """Where libfaketime is: the program knows it, which itself would not pass our signals on."""
    shown = [program("faketime"), "-f", "+0", "printenv", "LD_PRELOAD"]
    return subprocess.run(
        shown, check=True, capture_output=True, text=True
    ).stdout.strip()


def _sleep(seconds: SupportsIndex | float, /) -> None:
    """time.sleep() without clock_nanosleep(): libfaketime 0.9.10 shifts its monotonic deadline,
    too.
    """
    select.select([], [], [], float(seconds))


if __name__ == "__main__":
    time.sleep = _sleep
    runpy.run_path(str(BASE_DIR / "manage.py"), run_name="__main__")
