"""A large file is read in the background: the same outcome as within a request, each row once, whoever is killed."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone

from campaigns.errors import UploadRefused
from campaigns.models import (
    ListUpload,
    ListUploadPart,
    ListUploadReject,
    ListUploadSeen,
    RecipientList,
    RecipientListMember,
)
from campaigns.segments import reading, uploads
from campaigns.segments.lists import ListService
from campaigns.segments.reading import read_waiting
from campaigns.segments.upload_files import Mapping
from campaigns.segments.uploads import UploadService
from notifications.maintenance import Maintenance
from tests import factories

pytestmark = pytest.mark.django_db

FILE = (
    b'Name;Customer ID\nA;person-0\nB;person-0\nC;nobody\n=D();person-2\n=1+1;\n;;;\n\nE;person-1\nF;nobody\n"x\ny;z\n'
)


@pytest.fixture
def vips() -> RecipientList:
    factories.recipients(40)
    return ListService().create("VIPs", by=None)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH", 3)


@pytest.fixture
def in_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "INLINE_BYTES", 0)


def received(to: RecipientList, content: bytes) -> ListUpload:
    pieces = [content[n : n + 40] for n in range(0, len(content), 40)]
    return UploadService().receive(to, "people.csv", pieces, by=None)


def begun(to: RecipientList, content: bytes, **mapping: Any) -> ListUpload:
    return UploadService().load(received(to, content).pk, Mapping(**{"column": 0, **mapping}))


def run(steps: Iterator[None] | None = None) -> None:
    for _ in steps or read_waiting():
        pass


def steps_into(steps: Iterator[None], upload: ListUpload, position: int = 6) -> None:
    """Go on until so many records are done with."""
    while upload.position < position:
        next(steps)
        upload.refresh_from_db()


def members(of: RecipientList) -> list[str]:
    of.refresh_from_db()
    found = list(RecipientListMember.objects.filter(list=of).values_list("recipient__external_id", flat=True))
    assert of.size == len(found)
    return sorted(found)


def account(of: ListUpload) -> dict[str, Any]:
    """All that somebody can see of a file that was read."""
    of.refresh_from_db()
    shown = ("state", "known", "unknown", "duplicates", "invalid", "added", "records", "position", "percent", "problem")
    rejects = ListUploadReject.objects.filter(upload=of).order_by("id").values_list("line", "reason", "cells")
    return {**{name: getattr(of, name) for name in shown}, "rejects": list(rejects), "on_list": members(of.list)}


def ids(*numbers: int) -> bytes:
    return b"id\n" + b"".join(b"person-%d\n" % n for n in numbers)


@pytest.mark.parametrize(
    ("content", "mapping"),
    [
        (FILE, {"column": 1, "delimiter": ";"}),
        (FILE, {"column": 9, "delimiter": ";"}),
        (FILE, {"column": 1, "delimiter": ";", "has_header": False}),
        (ids(*range(9)), {}),
        (ids(), {}),
        (b"a@example.com\nA@example.com\n", {"identifier": "email", "has_header": False}),
        (b"id\nperson-0\nperson-1\n".decode().encode("utf-16"), {}),
        (b"id\nperson-0\nperson-1\n".decode().encode("utf-16-le"), {}),
    ],
)
def test_the_outcome_is_the_same_within_a_request_and_in_the_background(vips, monkeypatch, content, mapping):
    factories.recipient("ada", email="a@example.com")
    inline = begun(vips, content, **mapping)
    assert inline.state in {"done", "failed"}
    monkeypatch.setattr(uploads, "INLINE_BYTES", 0)
    others = ListService().create("Others", by=None)

    later = begun(others, content, **mapping)
    assert (later.state, later.position, members(others)) == ("reading", 0, [])
    run()

    assert account(later) == account(inline)
    assert not ListUploadSeen.objects.exists()
    assert later.state == "failed" or not ListUploadPart.objects.exists()


def test_a_file_is_read_inline_up_to_a_size(vips, monkeypatch):
    monkeypatch.setattr(uploads, "INLINE_BYTES", len(ids(1)))

    assert begun(vips, ids(1)).state == "done"
    assert begun(vips, ids(10)).state == "reading"


@pytest.mark.usefixtures("in_background")
class TestInTheBackground:
    def test_maintenance_reads_it(self, vips):
        upload = begun(vips, ids(*range(20)))
        maintenance = Maintenance()

        while maintenance.step():
            pass

        assert account(upload)["added"] == 20

    def test_figures_move_with_what_they_count(self, vips):
        upload = begun(vips, ids(0, 1, 1, 2, 3, 4, 99))
        seen = []

        for _ in read_waiting():
            told = account(upload)
            assert told["known"] == len(told["on_list"])
            assert told["unknown"] == len(told["rejects"])
            seen.append(told["percent"])

        assert seen == sorted(seen)
        assert account(upload)["records"] == 7

    @pytest.mark.parametrize("seed", range(5))
    def test_whoever_goes_on_after_a_death_counts_each_row_once(self, vips, seed):
        """A death between two steps: nothing is let go, the lease runs out."""
        dice = random.Random(seed)
        numbers = [dice.randrange(60) for _ in range(80)]
        upload = begun(vips, ids(*numbers))

        for _ in range(200):
            holder = reading.Reading(reading._claimed())
            steps = holder.steps()
            holder._release = lambda **_: None
            for _ in range(dice.randrange(1, 70)):
                next(steps, None)
            ListUpload.objects.update(lease_until=timezone.now() - timedelta(seconds=1), tries=0)
            upload.refresh_from_db()
            if upload.state == "done":
                break

        told = account(upload)
        known = {n for n in numbers if n < 40}
        assert told["on_list"] == sorted(f"person-{n}" for n in known)
        assert (told["known"], told["unknown"]) == (len(known), len(set(numbers) - known))
        assert told["records"] == 80
        assert sorted(row[2][0] for row in told["rejects"]) == sorted(f"person-{n}" for n in set(numbers) - known)

    def test_one_file_has_one_reader(self, vips):
        upload = begun(vips, ids(*range(9)))
        first = read_waiting()
        next(first)

        assert list(read_waiting()) == []

        run(first)
        assert account(upload)["added"] == 9

    def test_a_reader_whose_lease_ran_out_writes_nothing_more(self, vips):
        upload = begun(vips, ids(*range(20)))
        slow = read_waiting()
        steps_into(slow, upload)
        ListUpload.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        other = read_waiting()
        steps_into(other, upload, 9)
        before = account(upload)

        run(slow)

        assert account(upload) == before
        run(other)
        assert account(upload)["added"] == 20

    def test_a_stop_lets_go_of_it_at_once(self, vips):
        upload = begun(vips, ids(*range(20)))
        maintenance = Maintenance(stopping=iter([*[False] * 100, True]).__next__)
        [task] = [one for one in maintenance.tasks if one.name.endswith("read_waiting")]
        maintenance.tasks = [task]
        task.take_turn(iter([False, False, True]).__next__)
        upload.refresh_from_db()
        assert upload.reader is not None

        maintenance.close()

        upload.refresh_from_db()
        assert (upload.state, upload.reader, upload.lease_until, upload.tries) == ("reading", None, None, 0)
        run()
        assert account(upload)["added"] == 20

    def test_a_file_that_stops_every_reader_is_given_up_with_a_reason(self, vips, monkeypatch):
        upload = begun(vips, ids(*range(20)))
        steps = read_waiting()
        steps_into(steps, upload)
        steps.close()
        monkeypatch.setattr(reading, "known", lambda *_: 1 / 0)
        for _ in range(reading.MAX_TRIES):
            with pytest.raises(ZeroDivisionError):
                run()

        run()

        told = account(upload)
        assert (told["state"], told["added"]) == ("failed", 5)
        assert "stopped 5 times behind row 6" in told["problem"]

    def test_an_outage_is_waited_out(self, vips, monkeypatch):
        upload = begun(vips, ids(*range(5)))

        def away(*_: object) -> None:
            raise OperationalError("away")

        monkeypatch.setattr(reading, "known", away)
        with pytest.raises(OperationalError):
            run()
        monkeypatch.undo()

        run()
        assert account(upload)["added"] == 5

    def test_a_list_that_is_deleted_takes_its_file_along(self, vips):
        upload = begun(vips, ids(*range(20)))
        other = begun(ListService().create("Others", by=None), ids(1))
        steps = read_waiting()
        steps_into(steps, upload)
        assert ListUploadSeen.objects.exists()

        ListService().delete(vips)
        run(steps)

        assert not RecipientListMember.objects.exclude(list=other.list).exists()
        assert not ListUploadSeen.objects.exists()
        assert account(other)["added"] == 1

    def test_a_file_of_which_a_part_is_gone_says_so(self, vips):
        upload = begun(vips, ids(*range(20)))
        ListUploadPart.objects.filter(upload=upload, number=1).delete()

        run()

        assert account(upload)["problem"] == "The file is not complete any more. Upload it again."
        assert members(vips) == []

    @pytest.mark.parametrize(
        ("content", "column", "words"),
        [
            (b"PK\x03\x04" + bytes(range(256)) * 3, 0, "no text"),
            (ids(1), 2, "no column C"),
        ],
    )
    def test_a_file_that_cannot_be_meant_fails_and_can_be_chosen_for_again(self, vips, content, column, words):
        upload = begun(vips, content, column=column)
        run()
        assert account(upload)["state"] == "failed"
        assert words in upload.problem

        again = UploadService().load(upload.pk, Mapping(column=0))

        assert (again.state, again.problem, again.finished_at) == ("reading", "", None)

    def test_it_is_begun_once(self, vips):
        upload = begun(vips, ids(1))

        with pytest.raises(UploadRefused, match="being read already"):
            UploadService().load(upload.pk, Mapping(column=0))
        run()
        with pytest.raises(UploadRefused, match="has been read already"):
            UploadService().load(upload.pk, Mapping(column=0))

    def test_a_file_that_is_gone_is_refused(self, vips):
        upload = received(vips, ids(1))
        ListService().delete(vips)

        with pytest.raises(UploadRefused, match="gone"):
            UploadService().load(upload.pk, Mapping(column=0))

    def test_failed_files_and_what_was_seen_go_in_time(self, vips):
        failed, waiting = begun(vips, ids(1), column=4), received(vips, ids(2))
        run()
        ListUploadSeen.objects.create(upload=failed, value=uuid4())
        ListUpload.objects.filter(pk=failed.pk).update(finished_at=timezone.now() - timedelta(days=2))

        uploads.purge()

        assert set(ListUploadPart.objects.values_list("upload", flat=True)) == {waiting.pk}
        assert not ListUploadSeen.objects.exists()
        assert not UploadService().can_be_read(failed)
