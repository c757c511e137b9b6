"""Open inboxes on one web process: a notification to each of 2,000 people, from the call to the frame on the socket.

    python -m benchmarks.feed [--sockets 2000] [--rounds 5] [--transport rabbitmq|database]

Everyone has a socket of their own to one daphne, started as the README starts it, opened as a page opens it: a ticket
for a feed token, then the handshake, origin checked. A round is one in_app notification to each of them through
NotificationService, outbox, relay, broker, worker, feed table and Redis to the socket. A person's clock starts when the
call of `NotificationService.send` with their notification begins (`from_own_call`), and for everyone when the round's
first call begins (`from_first_call`). At the end all connections are cut, everyone is sent one more, and all come back
at once and catch up. The clients, daphne, the worker, the relay and all three servers share this machine's cores. The
last line is one JSON object; the exit code is 1 when a screen missed its item, got it twice or out of order.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import dataset, processes
from benchmarks.environment import ROOT, environment, start, stop

#: Sockets opened and closed before anything is measured, so that what Python imports and PostgreSQL plans once does
#: not count as a socket's.
WARM_UP = 20
#: Seconds to wait for a round's items, and for everyone's socket.
PATIENCE, OPENING = 30.0, 90.0
#: Files of the web process that are not sockets to a browser.
OTHER_FILES = 200


def main() -> int:
    options = arguments()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with environment(options.transport, PUBLIC_URL=f"http://127.0.0.1:{port}"):
        import django

        django.setup()
        result = run(options, port)
    tell(f"Clients, web process, worker, relay, PostgreSQL, Redis and RabbitMQ shared {os.cpu_count()} cores.")
    print(json.dumps(result))
    return 0 if result["missed"] == 0 and result["checked"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.feed", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sockets", type=int, default=2000, help="people, each with one socket")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chunk", type=int, default=500, help="notifications a call of NotificationService.send")
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    parser.add_argument("--at-once", type=int, default=50, help="people who are opening a socket at the same time")
    parser.add_argument("--transport", choices=["rabbitmq", "database"], default="rabbitmq")
    parser.add_argument("--no-storm", action="store_true", help="without the reconnects")
    return parser.parse_args()


class Crowd:
    """The client process; each command of `benchmarks.feed_client` by its name."""

    def __init__(self, port: int, tokens: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.feed_client"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.ask("begin", host="127.0.0.1", port=port, tokens=tokens)

    def ask(self, do: str, **details: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or b"{}")
        if not answer and self.process.poll() is not None:
            raise RuntimeError("the client process ended")
        return answer

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def run(options: argparse.Namespace, port: int) -> dict[str, Any]:
    """Seed, start the processes, open the sockets, send the rounds, cut and come back, check every screen."""
    from django.db import connection

    dataset.seed(options.sockets)
    web = start_web(port)
    others = {"workers": start("run_worker", "--channel", "in_app", "--processes", str(options.workers))}
    if options.transport == "rabbitmq":
        others["relay"] = start("run_relay")
    crowd = None
    try:
        wait_for(port)
        check_files(web.pid, options.sockets)
        crowd = Crowd(port, tokens())
        spent = Spent(web.pid, crowd.process.pid, {name: process.pid for name, process in others.items()})
        opening = open_all(crowd, web.pid, options, spent)
        rounds = Rounds(options, crowd)
        for _ in range(options.rounds):
            with spent.on("rounds"):
                rounds.one()
            time.sleep(1.0)
        pushed = rounds.summary(spent)
        storm = {} if options.no_storm else come_back(rounds, spent)
    finally:
        if crowd is not None:
            crowd.end()
        codes = [stop(process) for process in (web, *others.values())]
        stored = count_items()
        connection.close()
    return {
        "benchmark": "feed",
        "transport": options.transport,
        "sockets": options.sockets,
        "rounds": options.rounds,
        "cores_shared_by_all": os.cpu_count(),
        **opening,
        **pushed,
        **storm,
        "missed": rounds.missed,
        "checked": rounds.right and stored == rounds.sent,
        "lost_sockets": rounds.losses,
        "exit_codes": codes,
    }


def start_web(port: int) -> subprocess.Popen[bytes]:
    """The README's line. Its access log goes nowhere."""
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "config.asgi:application"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def wait_for(port: int) -> None:
    """Until the web process listens, and the others have imported and connected."""
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    time.sleep(4.0)


def check_files(pid: int, sockets: int) -> None:
    """Stop with a sentence where the web process may not open as many files."""
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max open files") and int(line.split()[3]) < sockets + OTHER_FILES:
            sys.exit(f"daphne may open {line.split()[3]} files. Raise it first: ulimit -n {sockets + OTHER_FILES}")


def tokens() -> list[str]:
    """A feed token for each of the people, as their service gets it for its page; `person-n` in order of n."""
    from channels_app.identity import issue_token
    from preferences.models import Recipient

    ids = dict(Recipient.objects.values_list("external_id", "id"))
    return [issue_token(ids[f"person-{n}"]).token for n in range(len(ids))]


class Spent:
    """CPU seconds of all processes, by what was being done."""

    def __init__(self, web: int, clients: int, others: Mapping[str, int]) -> None:
        self.groups: dict[str, Callable[[], list[int]]] = {
            "web": lambda: processes.family(web),
            "clients": lambda: [clients],
            "accept": lambda: [os.getpid()],
            **{name: (lambda pid=pid: processes.family(pid)) for name, pid in others.items()},  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            "postgres": lambda: processes.named("postgres"),
            "redis": lambda: processes.named("redis-server"),
            "rabbitmq": lambda: processes.named("beam.smp"),
        }
        self.spent: dict[str, dict[str, float]] = {}
        self._doing = ""

    def on(self, doing: str) -> "Spent":
        self._doing = doing
        return self

    def __enter__(self) -> None:
        self._before = self._now()

    def __exit__(self, *exc: object) -> None:
        total = self.spent.setdefault(self._doing, dict.fromkeys(self.groups, 0.0))
        for name, seconds in self._now().items():
            total[name] += seconds - self._before[name]

    def _now(self) -> dict[str, float]:
        return {name: processes.cpu_seconds(pids()) for name, pids in self.groups.items()}

    def per(self, doing: str, n: int, *names: str) -> dict[str, int]:
        """Microseconds for each of n."""
        return {name: round(self.spent[doing][name] / n * 1e6) for name in names or self.groups}


def open_all(crowd: Crowd, web: int, options: argparse.Namespace, spent: Spent) -> dict[str, Any]:
    """Everyone's socket, in two halves: the first makes the process grow by more than its sockets."""
    crowd.ask("open", at_once=10, seconds=OPENING, first=WARM_UP)
    crowd.ask("drop")
    time.sleep(3.0)  # daphne clears closed connections away every second
    sizes, answers = [memory(web)], []
    for first in (options.sockets // 2, options.sockets):
        with spent.on("opening"):
            answers.append(crowd.ask("open", at_once=options.at_once, seconds=OPENING, first=first))
        time.sleep(2.0)
        sizes.append(memory(web))
    seconds, opened = (sum(answer[name] for answer in answers) for name in ("seconds", "opened"))
    empty, half, full = sizes
    tell(f"open: {opened}, in {seconds:.1f} s")
    return {
        "memory_kb_per_socket": round((full - empty) / options.sockets, 1),
        "memory_kb_per_socket_of_the_second_half": round((full - half) / (options.sockets - options.sockets // 2), 1),
        "web_mb": {"without_sockets": round(empty / 1024), "with_all": round(full / 1024)},
        "opened": opened,
        "connects_per_s": round(opened / seconds),
        "ticket_ms": percentiles([one for answer in answers for one in answer["tickets"]]),
        "handshake_ms": percentiles([one for answer in answers for one in answer["handshakes"]]),
        "connect_retries": sum(answer["retries"] for answer in answers),
        "cpu_us_per_connect": spent.per("opening", options.sockets, "web", "clients", "postgres", "redis"),
    }


class Rounds:
    """One notification to everyone, again and again, and what every screen showed."""

    def __init__(self, options: argparse.Namespace, crowd: Crowd) -> None:
        from notifications.services.notification import NotificationService

        self.options, self.crowd, self.service = options, crowd, NotificationService()
        self.sent = self.missed = 0
        self.right = True
        self.own: list[list[float]] = []
        self.first: list[list[float]] = []
        self.losses: dict[str, int] = {}

    def accept(self) -> list[float]:
        """One to everyone; the moment at which the call with each person's began."""
        people, began = self.options.sockets, []
        for chunk in dataset.drafts(people, people, ("in_app",), self.options.chunk, offset=self.sent):
            began += [time.monotonic()] * len(chunk)
            self.service.send(chunk, source="campaign:1")
        self.sent += people
        return began

    def one(self) -> None:
        began = self.accept()
        moments = self.see()
        self.own.append([moments[n] - began[n] for n in moments])
        self.first.append([moment - began[0] for moment in moments.values()])
        tell(f"round: {len(moments)} screens, ms from the first call: {percentiles(self.first[-1])}")

    def see(self) -> dict[int, float]:
        """The moment at which each person saw the newest one; checks that it was that, and once."""
        people = self.options.sockets
        answer = self.crowd.ask("expect", items=people, seconds=PATIENCE)
        moments: dict[int, float] = {}
        for n, moment, _, link in answer["arrived"]:
            self.right = self.right and n not in moments and link == f"/orders/A-{self.sent - people + n}"
            moments[n] = moment
        self.missed += people - len(moments)
        self.losses = answer["losses"]
        return moments

    def summary(self, spent: Spent) -> dict[str, Any]:
        everyone = self.options.sockets * self.options.rounds
        cpu = spent.per("rounds", everyone)
        return {
            "from_own_call_ms": percentiles([seconds for times in self.own for seconds in times]),
            "from_first_call_ms": percentiles([seconds for times in self.first for seconds in times]),
            "p99_of_each_round_ms": [percentiles(times)["p99"] for times in self.first],
            "cpu_us_per_notification": cpu,
            "cpu_us_per_frame": {"server": round(cpu["web"] / 2), "client": round(cpu["clients"] / 2)},
        }


def come_back(rounds: Rounds, spent: Spent) -> dict[str, Any]:
    """Everyone is cut off, is sent one more, and comes back with the newest id they know."""
    rounds.crowd.ask("drop")
    began = rounds.accept()
    wait_until_stored(rounds.sent)
    with spent.on("storm"):
        back = rounds.crowd.ask("storm", seconds=OPENING)
    moments = rounds.see()
    return {
        "storm": {
            "back": back["opened"],
            "back_s": {name: round(ms / 1000, 2) for name, ms in percentiles(back["back_at"]).items()},
            "handshake_ms": percentiles(back["handshakes"]),
            "retries": back["retries"],
            "caught_up": len(moments),
            "away_s": round(min(moments.values(), default=0.0) - began[0], 2),
            "cpu_us_per_connect": spent.per("storm", rounds.options.sockets, "web", "clients", "postgres", "redis"),
        }
    }


def wait_until_stored(items: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while count_items() < items and time.monotonic() < deadline:
        time.sleep(0.05)


def count_items() -> int:
    from channels_app.models import FeedItem

    return FeedItem.objects.count()


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def memory(pid: int) -> int:
    """Kilobytes that a process keeps in memory; of pages it shares, its share (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def percentiles(seconds: Sequence[float]) -> dict[str, int]:
    """p50, p95, p99 and the longest, in milliseconds."""
    line = sorted(seconds) or [0.0]
    at = {f"p{p}": line[min(len(line) - 1, len(line) * p // 100)] for p in (50, 95, 99)}
    return {name: round(value * 1000) for name, value in {**at, "max": line[-1]}.items()}


if __name__ == "__main__":
    sys.exit(main())
