"""The comparison counts what is there: a tiny set of a peer's rows, whole and with one missing."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compare import summary

#: In a process of its own, as these tables are in no installation; they are gone before the test database is emptied.
SCRIPT = """
import json, sys
from pathlib import Path
import django
django.setup()
from django.db import connection
from benchmarks import dataset
from benchmarks.peers import work
from benchmarks.peers.models import TABLES, PeerEvent, PeerNotification, make_tables
from benchmarks.peers.record import check
from preferences.models import Preference

journal = Path(sys.argv[1])
journal.touch()
make_tables()
try:
    dataset.seed(30)
    ids = [id for chunk in dataset.drafts(30, 30, ("email",), 10) for id in work.accept(chunk)]
    accepted = check(30, journal, True)
    Preference.objects.all().delete()
    asked = PeerNotification.objects.get(deliveries=ids[1])
    Preference.objects.create(recipient=asked.recipient, category=asked.category, channel="email", enabled=False)
    for id in [*ids, ids[0]]:
        work.deliver(id)
    whole = check(30, journal, True)
    PeerEvent.objects.filter(delivery_id=ids[0]).delete()
    print(json.dumps([accepted, whole, check(30, journal, True)]))
finally:
    with connection.schema_editor() as editor:
        for model in reversed(TABLES):
            editor.delete_model(model)
"""


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("celery", "dramatiq", "jinja2")),
    reason="The peers are not installed: pip install -r requirements-bench.txt",
)
def test_a_peers_rows_are_all_accounted_for_and_a_missing_event_is_noticed(
    process_env: dict[str, str], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    environment = {
        **process_env,
        "DJANGO_SETTINGS_MODULE": "benchmarks.peers.settings",
        "PEER_JOURNAL": str(journal),
        "LOG_LEVEL": "WARNING",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(journal)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    accepted, whole, broken = json.loads(done.stdout.splitlines()[-1])

    assert (accepted["lost"], accepted["checked"]) == (30, False)
    assert (whole["lost"], whole["duplicates"], whole["checked"]) == (0, 0, True)
    assert (whole["sent"], whole["skipped"]) == (29, 1)
    assert (broken["lost"], broken["checked"]) == (1, False)


def a_run(rate: float, cpu: float, *, lost: int = 0) -> dict[str, Any]:
    return {
        "notifications": 10,
        "end_to_end_per_s": rate,
        "cpu_us_per_notification": {"accept": cpu / 2, "workers": cpu / 2},
        "peak_rss_mb": {"accept": 1},
        "lost": lost,
        "duplicates": 0,
        "rows_checked": 30,
        "busy_before": 0.0,
        "checked": not lost,
    }


def test_ratios_are_of_the_means_and_of_the_worst_against_the_best() -> None:
    found = summary({"carillon": [a_run(1000, 100), a_run(3000, 100)], "celery": [a_run(50, 4000), a_run(30, 6000)]})
    assert found["ratios"] == {"celery": {"times_faster": 50.0, "times_faster_at_least": 20.0, "times_less_cpu": 50.0}}
    assert (found["lost"], found["checked"]) == (0, True)


def test_one_lost_in_one_round_of_one_contender_fails_the_comparison() -> None:
    found = summary({"carillon": [a_run(1000, 100), a_run(3000, 100)], "celery": [a_run(50, 4000, lost=1)]})
    assert (found["lost"], found["checked"]) == (1, False)
