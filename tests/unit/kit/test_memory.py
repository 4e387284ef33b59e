"""What is freed goes back to the system, whatever was allocated before and beside it."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from pathlib import Path
import numpy as np
from kindred_kit.memory import return_freed_memory

if sys.argv[1] == "yes":
    return_freed_memory()

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

def work():
    for _ in range(3):
        blocks = [np.ones(20 * 2**20 // 8) for _ in range(4)]
        beside = bytearray(1000)
        del blocks

before = resident_mb()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(resident_mb() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_large_blocks_are_returned() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, "yes"], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 30
