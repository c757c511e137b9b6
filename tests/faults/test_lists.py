"""Files onto lists under kill -9: two maintenance processes read the same file and die at any moment."""

import random
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.models import ListUpload, ListUploadReject, RecipientListMember
from campaigns.segments.lists import ListService
from campaigns.segments.upload_files import Mapping
from campaigns.segments.uploads import UploadService
from tests import factories
from tests.campaigns.test_fanout import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

PEOPLE, STRANGERS, ROWS = 20_000, 5_000, 60_000


def position() -> int:
    return ListUpload.objects.values_list("position", flat=True).get()


def test_each_row_counts_once_whoever_is_killed(process_env: dict[str, str]):
    factories.recipients(PEOPLE)
    dice = random.Random(7)
    numbers = [dice.randrange(PEOPLE + STRANGERS) for _ in range(ROWS)]
    content = b"id\n" + b"".join(b"person-%d\n" % n for n in numbers)
    vips = ListService().create("VIPs", by=None)
    upload = UploadService().receive(vips, "people.csv", [content], by=None)
    UploadService().load(upload.pk, Mapping(column=0))
    command = [sys.executable, "-W", "ignore", "manage.py", "run_maintenance"]
    readers = [subprocess.Popen(command, env=process_env, stderr=subprocess.DEVNULL) for _ in range(2)]
    places = []
    try:
        for _ in range(4):
            before = position()
            wait_until(lambda before=before: position() > before or position() > ROWS)
            time.sleep(dice.uniform(0, 0.3))
            for reader in readers:  # one of them has it
                reader.kill()
                reader.wait()
            places.append(position())
            ListUpload.objects.update(lease_until=timezone.now() - timedelta(seconds=1))  # 90 seconds later
            readers = [subprocess.Popen(command, env=process_env, stderr=subprocess.DEVNULL) for _ in range(2)]
        wait_until(lambda: ListUpload.objects.get().state != "reading")
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()

    assert any(0 < place <= ROWS for place in places), places
    done, given = ListUpload.objects.get(), set(numbers)
    people = {n for n in given if n < PEOPLE}
    assert (done.state, done.known, done.added, done.records) == ("done", len(people), len(people), ROWS)
    assert (done.unknown, done.duplicates, done.invalid) == (len(given - people), ROWS - len(given), 0)
    members = RecipientListMember.objects.filter(list=vips).values_list("recipient__external_id", flat=True)
    assert Counter(members) == Counter(f"person-{n}" for n in people)
    rejects = Counter(row[0] for row in ListUploadReject.objects.values_list("cells", flat=True))
    assert rejects == Counter(f"person-{n}" for n in given - people)
    vips.refresh_from_db()
    assert vips.size == len(people)
