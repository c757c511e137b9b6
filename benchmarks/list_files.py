"""How fast a large CSV file becomes a list: `python -m benchmarks.list_files --rows 1000000`.

On a database of its own: people who are known, a file that names some of them twice and some strangers, uploaded and
chosen for through the admin's own pages (in this process, so without the network), read by `run_maintenance`, which is
killed if `--kills` says so. Every row must be accounted for. Exit code 1 when one is not.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.environment import ROOT, environment

_PEOPLE = """
    INSERT INTO preferences_recipient
           (id, external_id, name, email, phone, locale, timezone, attributes, created_at, updated_at)
    SELECT gen_random_uuid(), 'person-' || n, 'Person ' || n, 'person.' || n || '@mail.example.com', '', 'en', 'UTC',
           '{{}}', now(), now() FROM generate_series({first}, {last}) n
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.list_files", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=0)
    given = parser.parse_args()
    with environment("database", SECURE_SSL_REDIRECT=0) as settings, tempfile.TemporaryDirectory() as folder:
        import django

        django.setup()
        people = given.rows * 95 // 100
        _fill(people)
        file, expected = _written(Path(folder, "people.csv"), given.rows, people)
        report: dict[str, Any] = {"rows": given.rows, "megabytes": round(file.stat().st_size / 1e6, 1)}
        report |= _upload(file)
        report |= _read(settings, given.kills, given.rows)
        wrong = _wrong(expected)
    sys.stdout.write(json.dumps({**report, "wrong": wrong}) + "\n")
    return 1 if wrong else 0


def _fill(people: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; SET synchronous_commit = off")
        for first in range(0, people, 50_000):
            cursor.execute(_PEOPLE.format(first=first, last=min(first + 50_000, people) - 1))
        cursor.execute("VACUUM (ANALYZE) preferences_recipient")


def _written(file: Path, rows: int, people: int) -> tuple[Path, dict[str, int]]:
    """A hundredth of the rows repeat an earlier one, a few hundredths name strangers."""
    dice = random.Random(3)
    numbers = list(range(rows - rows // 100))
    numbers += [dice.randrange(people) for _ in range(rows // 100)]
    dice.shuffle(numbers)
    with file.open("w") as out:
        out.write("id,name\n")
        out.writelines(f"person-{n},Person {n}\n" for n in numbers)
    given = set(numbers)
    known = sum(n < people for n in given)
    return file, {"known": known, "unknown": len(given) - known, "duplicates": rows - len(given), "invalid": 0}


def _upload(file: Path) -> dict[str, float]:
    """The two requests, as the admin's form makes them; seconds of each."""
    from django.contrib.auth.models import User
    from django.test import Client

    from campaigns.segments.lists import ListService

    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(User.objects.create_superuser("bench"))
    vips = ListService().create("VIPs", by=None)
    home = f"/admin/campaigns/recipientlist/{vips.pk}"
    with file.open("rb") as content:
        sent, seconds = _timed(lambda: client.post(f"{home}/upload/", {"file": content}))
    chosen = {"column": 0, "identifier": "external_id", "has_header": "on", "delimiter": ","}
    _, choosing = _timed(lambda: client.post(sent["Location"], chosen))
    return {"upload_seconds": seconds, "choosing_seconds": choosing}


def _timed(act: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    answer = act()
    return answer, round(time.monotonic() - began, 2)


def _read(settings: dict[str, str], kills: int, rows: int) -> dict[str, float]:
    """Let `run_maintenance` read it: seconds from the first row to the end, its memory before and at the most."""
    from campaigns.models import ListUpload

    server = processes.postgres(settings["DATABASE_URL"].rsplit("/", 1)[-1])
    before, process, began, peak, idle, killed = processes.cpu_seconds(server), _start(), 0.0, 0.0, 0.0, 0
    while (upload := ListUpload.objects.get()).state == "reading":
        memory = processes.peak_rss_mb([process.pid])
        if upload.position and not began:
            began = time.monotonic()
        if not upload.position:
            idle = memory
        peak = max(peak, memory)
        if killed < kills and upload.position > rows * (killed + 1) // (kills + 1):
            process.kill()
            process.wait()
            killed += 1
            ListUpload.objects.update(lease_until=None)  # the time that it takes to run out is no figure
            process = _start()
        time.sleep(0.05)
    took = time.monotonic() - began
    cpu = processes.cpu_seconds([process.pid])
    process.terminate()
    process.wait()
    figures = {"seconds": took, "rows_per_second": rows / took, "memory_before_mb": idle, "peak_mb": peak, "cpu": cpu}
    return {**{name: round(value, 1) for name, value in figures.items()}, "kills": killed} | _servers(before, settings)


def _servers(before: float, settings: dict[str, str]) -> dict[str, float]:
    server = processes.postgres(settings["DATABASE_URL"].rsplit("/", 1)[-1])
    return {"postgresql_cpu": round(processes.cpu_seconds(server) - before, 1)}


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", str(ROOT / "manage.py"), "run_maintenance"]
    return subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL)


def _wrong(expected: dict[str, int]) -> list[str]:
    """What does not add up between the file, the figures and the list."""
    from campaigns.models import ListUpload, ListUploadReject, RecipientList, RecipientListMember

    upload, members = ListUpload.objects.get(), RecipientListMember.objects.count()
    told = {name: getattr(upload, name) for name in expected}
    found = {
        f"the file is {upload.state}": upload.state == "done",
        f"{told} is not {expected}": told == expected,
        f"{members} members, {upload.known} known": members == upload.known == RecipientList.objects.get().size,
        "rejected rows are missing": ListUploadReject.objects.count() == min(upload.rejected, 100_000),
    }
    return [words for words, holds in found.items() if not holds]


if __name__ == "__main__":
    sys.exit(main())
