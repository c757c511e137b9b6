"""Carillon beside the usual way: a Celery or Dramatiq task a notification, on the same servers and the same data.

    python -m benchmarks.compare [--notifications 60000] [--peer-notifications 6000] [--rounds 2] [--workers 2]

Each contender runs alone, one after the other, a round at a time, so that the noise of the machine shows as a
difference between the rounds; the table also says what others used of the processors just before a run. What is counted
is the same for all: from the first acceptance until every row says sent (or skipped, by the recipient's preferences),
with every durability setting on. Then every notification, delivery, event and provider call is checked against each
other. How the peers are built and tuned, and what was tried, stands in `benchmarks.peers`. The last line is one JSON
object; the exit code is 1 when one notification is not accounted for.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.environment import ROOT
from benchmarks.peers import TUNED, missing

Run = dict[str, Any]
#: Seconds one run may take, its database made and dropped.
TOO_LONG = 900.0
#: A machine on which others use more than this share of the processors says little about rates.
BUSY = 0.15
#: Stages in the order of the flow; the peers have no relay, and use Redis for nothing.
STAGES = ("accept", "relay", "workers", "postgres", "rabbitmq", "redis")


def main() -> int:
    options = arguments()
    if sentence := missing(*options.peers):
        print(sentence, file=sys.stderr)
        return 2
    commands = contenders(options)
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(options.rounds):
        names = list(commands)
        for name in names if number % 2 == 0 else reversed(names):
            print(f"Round {number + 1} of {options.rounds}: {name}", file=sys.stderr, flush=True)
            busy = busy_share()
            runs[name].append({**measure(commands[name]), "busy_before": busy})
    result = summary(runs)
    show(result, options.rounds)
    print(json.dumps(result))
    return 0 if result["lost"] == 0 and result["checked"] else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.compare", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--notifications", type=int, default=60_000, help="for Carillon, a round")
    parser.add_argument("--peer-notifications", type=int, default=6_000, help="for each peer, a round; they are slower")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="Carillon's worker processes")
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--peers", nargs="*", default=sorted(TUNED), choices=sorted(TUNED))
    return parser.parse_args()


def contenders(options: argparse.Namespace) -> dict[str, list[str]]:
    """The command of each, after `python -m`."""
    same = ["--recipients", str(options.recipients)]
    size = ["--notifications", str(options.notifications), "--workers", str(options.workers)]
    commands = {"carillon": ["benchmarks.pipeline", *size, *same]}
    for peer in options.peers:
        commands[peer] = ["benchmarks.peers", peer, "--notifications", str(options.peer_notifications), *same]
    return commands


def busy_share(seconds: float = 1.0) -> float:
    """The share of all processors that others use while nothing of ours runs, from /proc/stat (Linux)."""

    def ticks() -> tuple[int, int]:
        values = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(values), values[3] + values[4]  # all, and of these idle or waiting for a disk

    all_before, idle_before = ticks()
    time.sleep(seconds)
    all_after, idle_after = ticks()
    return round(1 - (idle_after - idle_before) / max(1, all_after - all_before), 2)


def measure(command: Sequence[str]) -> Run:
    """One run in a process of its own. A run that prints no result has lost everything."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, check=False, timeout=TOO_LONG
    )
    try:
        run: Run = json.loads(done.stdout.decode().rstrip().rsplit("\n", 1)[-1])
    except ValueError:
        sys.stderr.write(done.stderr.decode(errors="replace"))
        raise SystemExit(f"{command[0]} ended with {done.returncode} and no result.") from None
    return run


def summary(runs: dict[str, list[Run]]) -> Run:
    """The figures of each contender, and Carillon's over each peer's.

    A rate is the mean of the rounds, in notifications a second. `times_faster` and `times_less_cpu` are ratios of the
    means; `times_faster_at_least` is Carillon's worst round against the peer's best.
    """
    figures = {name: figures_of(rounds) for name, rounds in runs.items()}
    ours = figures["carillon"]
    everything = [run for rounds in runs.values() for run in rounds]
    return {
        "benchmark": "compare",
        "contenders": figures,
        "ratios": {
            name: {
                "times_faster": round(ours["end_to_end_per_s"] / peer["end_to_end_per_s"], 1),
                "times_faster_at_least": round(min(ours["rounds_per_s"]) / max(peer["rounds_per_s"]), 1),
                "times_less_cpu": round(peer["cpu_us_total"] / ours["cpu_us_total"], 1),
            }
            for name, peer in figures.items()
            if name != "carillon"
        },
        "lost": sum(run["lost"] for run in everything),
        "checked": all(run["checked"] for run in everything),
    }


def figures_of(rounds: Sequence[Run]) -> Run:
    stages = {stage: averaged(run["cpu_us_per_notification"].get(stage, 0.0) for run in rounds) for stage in STAGES}
    rates = [run["end_to_end_per_s"] for run in rounds]
    return {
        "notifications": sum(run["notifications"] for run in rounds),
        "rounds_per_s": rates,
        "end_to_end_per_s": averaged(rates),
        "busy_before": [run["busy_before"] for run in rounds],
        "cpu_us_per_notification": stages,
        "cpu_us_total": round(sum(stages.values()), 1),
        "peak_rss_mb": {
            stage: max(run["peak_rss_mb"].get(stage, 0) for run in rounds) for stage in ("accept", "workers")
        },
        "lost": sum(run["lost"] for run in rounds),
        "duplicates": sum(run["duplicates"] for run in rounds),
        "rows_checked": sum(run["rows_checked"] for run in rounds),
        **({"tuning": rounds[0]["tuning"]} if "tuning" in rounds[0] else {}),
    }


def averaged(values: Iterable[float]) -> float:
    return round(mean(values), 1)


def show(result: Run, rounds: int) -> None:
    """Two tables: how fast and whether all arrived, and where the CPU time went."""
    console = Console(width=110)
    speed = Table(title="End to end, notifications a second", title_justify="left")
    spent = Table(title="CPU, microseconds a notification", title_justify="left")
    for heading in (
        "",
        *(f"round {n + 1}" for n in range(rounds)),
        "Carillon is",
        "checked",
        "lost",
        "twice",
        "others' CPU",
    ):
        speed.add_column(heading, justify="right" if heading else "left")
    for heading in ("", *STAGES, "all", "Carillon needs"):
        spent.add_column(heading, justify="right" if heading else "left")
    for name, found in result["contenders"].items():
        ratio = result["ratios"].get(name)
        speed.add_row(
            name,
            *(f"{rate:,.0f}" for rate in found["rounds_per_s"]),
            f"{ratio['times_faster']:,} times as fast" if ratio else "",
            f"{found['rows_checked']:,} rows",
            f"{found['lost']:,}",
            f"{found['duplicates']:,}",
            " ".join(f"{share:.0%}" for share in found["busy_before"]),
        )
        spent.add_row(
            name,
            *(f"{found['cpu_us_per_notification'][stage]:,.0f}" for stage in STAGES),
            f"{found['cpu_us_total']:,.0f}",
            f"1/{ratio['times_less_cpu']:,.0f} of it" if ratio else "",
        )
    console.print(speed)
    console.print(spent)
    busiest = max(max(found["busy_before"]) for found in result["contenders"].values())
    if busiest > BUSY:
        console.print(
            f"Something else used {busiest:.0%} of the processors before a run: repeat it on an idle machine."
        )


if __name__ == "__main__":
    sys.exit(main())
