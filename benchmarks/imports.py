"""How fast a CSV file becomes recipients: `python -m benchmarks.imports --rows 1000000`.

On a database of its own, with the public command, as a user would: an untidy file, the same again, a clean file, the
same again; then files that change everybody of the clean one: first their names, which leave no history, then five
things of which each does. After each, every record of the file must be accounted for: in the table, or among the
rejects with its line and reason. Exit code 1 when one is not.
"""

import argparse
import csv
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg

from benchmarks import messy_csv, processes
from benchmarks.environment import ROOT, environment

_REPORT = ("records read", "created", "updated", "unchanged", "duplicate ids", "rejected")


def clean_lines(rows: int) -> Iterator[bytes]:
    """A file with nothing wrong in it, whose attributes differ from row to row."""
    dice = random.Random(2)
    yield messy_csv.HEADER.encode() + b"\n"
    for number in range(rows):
        cells = (
            f"clean-{number}",
            f"Ana {number}",
            f"clean.{number}@mail.example.com",
            f"+4915{dice.randrange(1, 3)}{dice.randrange(10_000_000, 99_999_999)}",
            "de-DE",
            "Europe/Berlin",
            "pro",
            "Berlin",
            f"customer {number}",
        )
        yield ",".join(cells).encode() + b"\n"


def changed_lines(rows: int, *, with_history: bool) -> Iterator[bytes]:
    """The people of the clean file, each with another name; or else another email, phone, language, time zone and quiet
    hours, each of them a row of the history, and both addresses confirmed."""
    dice = random.Random(3)
    columns = "email,phone,locale,timezone,quiet_hours,email_verified,phone_verified" if with_history else "name"
    yield f"id,{columns}\n".encode()
    for number in range(rows):
        phone = f"+4917{dice.randrange(6, 9)}{dice.randrange(1_000_000, 9_999_999)}"
        values = f"new.{number}@mail.example.com,{phone},fr-FR,Europe/Paris,22:00-07:30,yes,yes"
        yield f"clean-{number},{values if with_history else f'Eve {number}'}\n".encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=10_000)
    given = parser.parse_args()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder, environment("database") as settings:
        messy, clean, names, changed = (Path(folder, f"{name}.csv") for name in ("messy", "clean", "names", "changed"))
        _write(messy, messy_csv.lines(given.rows))
        _write(clean, clean_lines(given.rows))
        _write(names, changed_lines(given.rows, with_history=False))
        _write(changed, changed_lines(given.rows, with_history=True))
        sys.stdout.write(
            f"{'file':<24}{'rows/s':>10}{'seconds':>9}{'peak MB':>9}{'Python s':>10}{'PostgreSQL s':>14}\n"
        )
        for name, path in (
            ("messy, new", messy),
            ("messy, again", messy),
            ("clean, new", clean),
            ("clean, again", clean),
            ("names, all changed", names),
            ("history, all changed", changed),
            ("history, again", changed),
        ):
            before = _count(settings)
            report = _import(name, path, given.batch)
            faults += _faults(name, path, report, _count(settings) - before, given.rows)
    for fault in faults:
        sys.stdout.write(f"WRONG: {fault}\n")
    sys.exit(1 if faults else 0)


def _write(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("wb", buffering=1024 * 1024) as file:
        file.writelines(lines)


def _import(name: str, path: Path, batch: int) -> dict[str, int]:
    """Run the command and print a line about it; the figures of its report. PostgreSQL's part is the CPU of all its
    processes meanwhile, so nothing else should use the server."""
    servers = processes.named("postgres")
    server_before, started = processes.cpu_seconds(servers), time.monotonic()
    command = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "import_recipients", str(path), "--batch", str(batch)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    peak = cpu = used = 0.0
    while command.poll() is None:
        backends = set(processes.named("postgres")) - set(servers)
        peak = max(peak, processes.peak_rss_mb([command.pid]))
        cpu = max(cpu, processes.cpu_seconds([command.pid]))
        used = max(used, processes.cpu_seconds(backends))  # the backend ends with the command
        time.sleep(0.1)
    seconds = time.monotonic() - started
    assert command.stdout is not None
    report = _figures(command.stdout.read())
    used += processes.cpu_seconds(servers) - server_before
    rate = report.get("records read", 0) / seconds
    sys.stdout.write(f"{name:<24}{rate:>10,.0f}{seconds:>9.1f}{peak:>9.0f}{cpu:>10.1f}{used:>14.1f}\n")
    sys.stdout.flush()
    return report


def _figures(report: str) -> dict[str, int]:
    lines = [line.rsplit(maxsplit=1) for line in report.splitlines() if line.startswith(_REPORT)]
    return {words[0].strip(): int(words[1].replace(",", "")) for words in lines}


def _faults(name: str, path: Path, report: dict[str, int], grown: int, rows: int) -> list[str]:
    """What does not add up between the file, the report, the rejects and the table."""
    if set(_REPORT) - set(report):
        return [f"{name}: the command failed"]
    faults = []
    outcomes = sum(report[key] for key in ("created", "updated", "unchanged"))
    rejects = path.with_name(f"{path.name}.rejects.csv")
    left = list(csv.DictReader(rejects.open(newline=""))) if rejects.exists() else []
    wrong = {"no line": "line", "no code": "code", "no reason": "reason"}
    if report["records read"] != rows:
        faults.append(f"{name}: {rows} records in the file, {report['records read']} read")
    if grown != report["created"]:
        faults.append(f"{name}: {report['created']} created, but the table has {grown} more")
    if len(left) != report["rejected"]:
        faults.append(f"{name}: {report['rejected']} rejected, but {len(left)} in the file of rejects")
    faults += [f"{name}: a reject with {what}" for what, cell in wrong.items() if any(not row[cell] for row in left)]
    twice = [line for line, times in Counter(row["line"] for row in left).items() if times > 1]
    if twice:
        faults.append(f"{name}: rejected twice: line {twice[0]}")
    # Ids that stand twice in one batch are one row of it; those of different batches have an outcome each.
    taken = report["records read"] - report["rejected"]
    if not taken - report["duplicate ids"] <= outcomes <= taken:
        faults.append(f"{name}: {taken} taken, but {outcomes} with an outcome")
    return faults


def _count(settings: dict[str, str]) -> int:
    with psycopg.connect(settings["DATABASE_URL"]) as connection:
        [count] = connection.execute("SELECT count(*) FROM preferences_recipient").fetchone() or (0,)
    return int(count)


if __name__ == "__main__":
    main()
