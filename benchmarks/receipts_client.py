"""The load of `benchmarks.receipts`: a process of its own that posts signed webhooks over keep-alive connections.

    python -m benchmarks.receipts_client <folder> '{"port": ..., "connections": 4, "per_second": 50}'

The folder has `bodies`: a webhook a line, as `receipts_record.webhooks` writes them. With `per_second` they leave at
that rate, whatever the answers take, on the connection that is free; 0 is as fast as they are answered. `figures` are
left in the folder. A webhook that is not answered with 200 is not sent again: it is counted.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

#: Without an answer for this long the run has failed.
STALL_SECONDS = 60.0
PATH = "/webhooks/simulated_email/"


class Load:
    """Webhooks by number, the moment each is to leave, and what came of them."""

    def __init__(self, port: int, connections: int, per_second: float, lines: list[bytes]) -> None:
        self.port, self.connections, self.per_second = port, connections, per_second
        self._lines = lines
        self._next = 0
        self.began = 0.0
        self.statuses: Counter[str] = Counter()
        self.milliseconds: list[float] = []

    def take(self) -> tuple[bytes, float] | None:
        """The next request, and when it is to leave; None when there is none."""
        if self._next == len(self._lines):
            return None
        number, self._next = self._next, self._next + 1
        id, timestamp, signature, body = self._lines[number].split(b"\t", 3)
        head = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n" % (
            PATH.encode(),
            self.port,
        )
        head += b"webhook-id: %s\r\nwebhook-timestamp: %s\r\nwebhook-signature: %s\r\n" % (id, timestamp, signature)
        due = self.began + number / self.per_second if self.per_second else 0.0
        return b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body), due


async def connection(load: Load) -> None:
    """One of the vendor's: a webhook after the other. Its time counts from when it was to leave: one that had to wait
    for a free connection is as late as its vendor would find it."""
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
    """Post everything; seconds from the first request to the last answer."""
    load.began = time.monotonic()
    await asyncio.gather(*(connection(load) for _ in range(load.connections)))
    return time.monotonic() - load.began


def main() -> int:
    folder = Path(sys.argv[1])
    options: dict[str, Any] = json.loads(sys.argv[2])
    load = Load(lines=(folder / "bodies").read_bytes().split(b"\n"), **options)
    elapsed = asyncio.run(drive(load))
    figures = {"seconds": elapsed, "statuses": load.statuses, "milliseconds": load.milliseconds}
    (folder / "figures").write_text(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
