"""The collector of a process that handles batches."""

import subprocess
import sys

_SCRIPT = """
import gc
from core import collector

collector.relax()
assert gc.isenabled() and gc.get_freeze_count() > 0
runs = sum(stats["collections"] for stats in gc.get_stats())
batches = [[{"n": n} for n in range(500)] for _ in range(50)]
assert sum(stats["collections"] for stats in gc.get_stats()) == runs, "a batch is looked at while it lives"
class Knot: pass
for _ in range(200_000):
    knot = Knot()
    knot.me = knot
assert sum(isinstance(one, Knot) for one in gc.get_objects()) < 60_000, "cycles must still be found"
"""


def test_batches_are_left_alone_and_cycles_are_still_found() -> None:
    subprocess.run([sys.executable, "-c", _SCRIPT], check=True)
