"""kill -9 of those who close digests: every item goes with exactly one, and each digest is one message."""

import os
import random
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Now

from notifications.digests import closing
from notifications.drafts import Draft
from notifications.models import Digest, DigestItem, Notification
from notifications.services.notification import NotificationService
from tests import factories
from tests.faults.programs import Program, wait_until

ROUNDS = 16
CONTENT = {"title": "New", "body": "A comment"}
CLOSER = """
import django; django.setup()
from notifications.digests import closing
print("At work.", flush=True)
while True:
    closing.close_some()
"""


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
def test_closers_killed_again_and_again_lose_nothing_and_send_nothing_twice(tmp_path: Path):
    factories.category("comments", digest_mode="fixed", digest_window_seconds=1)
    names = [one.external_id for one in factories.recipients(300)]
    chance = random.Random(7)
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": database()}
    closers = [closer(tmp_path, env, n) for n in range(2)]
    try:
        for n in range(ROUNDS):
            service = NotificationService()
            service.send([Draft(recipient=name, category="comments", content=CONTENT) for name in names], source="test")
            victim = n % 2
            at_work(closers[victim])
            time.sleep(chance.uniform(0.8, 1.6))  # until some of what was said is due
            closers[victim].kill()
            closers[victim] = closer(tmp_path, env, n + len(closers))
    finally:
        for one in closers:
            one.kill()
    by_the_killed = Digest.objects.filter(state="sent").count()
    Digest.objects.filter(state="open").update(closes_at=Now())
    wait_until(all_closed, 60, "the end of every digest")

    closed = Digest.objects.filter(state="sent")
    assert Digest.objects.exclude(state="sent").count() == 0
    assert DigestItem.objects.count() == ROUNDS * 300 == closed.aggregate(all=Sum("count"))["all"]
    assert by_the_killed
    sent = Notification.objects.filter(source="digest:comments")
    assert set(sent.values_list("id", flat=True)) == set(closed.values_list("notification_id", flat=True))
    assert sent.count() == closed.count()


def closer(where: Path, env: dict[str, str], n: int) -> Program:
    return Program(f"closer-{n}", [sys.executable, "-c", CLOSER], env, where / f"closer-{n}.log")


def at_work(one: Program) -> None:
    wait_until(lambda: "At work." in one.said(), 60, "the start of a closer")


def all_closed() -> bool:
    """Not at the first try, where the server has not noticed yet that somebody was killed who held it."""
    while closing.close_some():
        pass
    return not Digest.objects.filter(state="open").exists()


def database() -> str:
    """The test's own database, for programs."""
    base, _, _ = settings.DATABASE_URL.rpartition("/")
    return f"{base}/{connection.settings_dict['NAME']}"
