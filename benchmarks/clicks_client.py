"""The load of `benchmarks.clicks`: a process of its own that follows links over keep-alive connections.

    python -m benchmarks.clicks_client <folder> '{"port": ..., "connections": 32, "per_second": 200}'

The folder has `paths`, one a line. With `per_second` they are asked for at that mean rate, at random moments as readers
are, on a connection that is free; a hit that has to wait for one is as late as its reader finds it. 0: as fast as they
are answered. `figures` are left in the folder.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

#: Without an answer for this long the run has failed.
STALL_SECONDS = 60.0
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"


class Load:
    """Paths by number, the moment each is to be asked for, and what came of them."""

    def __init__(self, port: int, connections: int, per_second: float, paths: list[str]) -> None:
        self.port, self.connections = port, connections
        self._paths = paths
        self._moments = _moments(len(paths), per_second)
        self._next = 0
        self.began = 0.0
        self.statuses: Counter[str] = Counter()
        self.milliseconds: list[float] = []

    def take(self) -> tuple[bytes, float] | None:
        """The next request, and when it is to leave; None when there is none."""
        if self._next == len(self._paths):
            return None
        number, self._next = self._next, self._next + 1
        head = f"GET {self._paths[number]} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUser-Agent: {AGENT}\r\n"
        moment = self._moments[number]
        return f"{head}Accept: */*\r\n\r\n".encode(), self.began + moment if moment else 0.0


def _moments(count: int, per_second: float) -> list[float]:
    """Seconds from the start, as a Poisson process; all 0 without a rate."""
    if not per_second:
        return [0.0] * count
    rng, at, moments = random.Random(3), 0.0, []
    for _ in range(count):
        at += rng.expovariate(per_second)
        moments.append(at)
    return moments


async def connection(load: Load) -> None:
    """One after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    while (taken := load.take()) is not None:
        request, due = taken
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        began = due or time.monotonic()
        writer.write(request)
        async with asyncio.timeout(STALL_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
        load.milliseconds.append((time.monotonic() - began) * 1000)
        load.statuses[head[9:12].decode()] += 1
    writer.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("An answer without Content-Length.")


async def drive(load: Load) -> float:
    """Ask for everything; seconds from the first request to the last answer."""
    load.began = time.monotonic()
    await asyncio.gather(*(connection(load) for _ in range(load.connections)))
    return time.monotonic() - load.began


def main() -> int:
    folder = Path(sys.argv[1])
    options: dict[str, Any] = json.loads(sys.argv[2])
    load = Load(paths=(folder / "paths").read_text().splitlines(), **options)
    elapsed = asyncio.run(drive(load))
    figures = {"seconds": elapsed, "statuses": load.statuses, "milliseconds": load.milliseconds}
    (folder / "figures").write_text(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
