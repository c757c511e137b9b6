"""Critical notifications at a steady rate until SIGTERM, from a process of their own as a web process is one.

    python -m benchmarks.criticals FILE --rate 20 --recipients 20000      # within the environment of another benchmark

Each is a call of NotificationService with one draft, at the moment its turn comes: one that takes long does not put off
the next for longer than itself. A line of FILE each, tab-separated: the notification's id, and when the call was due,
in Unix seconds.
"""

import argparse
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from benchmarks import dataset

#: The numbers of these orders start here, so that no draft of another part says the same.
OFFSET = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Call:
    """One critical notification: `at` is Unix time in seconds."""

    notification: UUID
    at: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.criticals", description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--rate", type=float, required=True, help="a second")
    parser.add_argument("--recipients", type=int, required=True)
    options = parser.parse_args()
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the benchmark, which stops this one

    import django

    django.setup()
    from msgspec.structs import replace

    from notifications.services.notification import NotificationService

    service = NotificationService()
    began = time.time()
    with options.file.open("w", buffering=1) as out:
        for n, chunk in enumerate(dataset.drafts(OFFSET, options.recipients, ("email",), 1, offset=OFFSET)):
            due = began + n / options.rate
            time.sleep(max(0.0, due - time.time()))
            if stopping:
                return 0
            accepted = service.send([replace(chunk[0], priority="critical")], source="api:critical")
            out.write(f"{accepted[0].id}\t{due:.6f}\n")
    return 0


def read(file: Path) -> list[Call]:
    """What was sent so far."""
    calls = (line.split("\t") for line in file.read_text().splitlines())
    return [Call(UUID(id), float(at)) for id, at in calls]


if __name__ == "__main__":
    sys.exit(main())
