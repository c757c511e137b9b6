"""Lists keep their size, forget who is erased, and read files in batches."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns.errors import UploadRefused
from campaigns.models import ListUpload, ListUploadReject, RecipientList, RecipientListMember
from campaigns.segments import reading, uploads
from campaigns.segments.lists import ListService
from campaigns.segments.upload_files import Mapping
from campaigns.segments.uploads import UploadService
from preferences.services import PreferencesService
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def vips() -> RecipientList:
    return ListService().create("VIPs", by=None)


def size(of: RecipientList) -> int:
    """By the list's own word, which must be the number of its members."""
    of.refresh_from_db()
    assert of.size == RecipientListMember.objects.filter(list=of).count()
    return of.size


def read(to: RecipientList, content: bytes, **mapping: Any) -> ListUpload:
    made = UploadService().receive(to, "people.csv", [content], by=None)
    return UploadService().load(made.pk, Mapping(**{"column": 0, **mapping}))


def test_who_is_erased_is_on_no_list(vips):
    others = ListService().create("Others", by=None)
    factories.recipients(2)
    for one in (vips, others):
        ListService().add(one.pk, ["person-0", "person-1"])

    PreferencesService().erase("person-0")

    assert (size(vips), size(others)) == (1, 1)


class TestFiles:
    def test_batches_know_what_came_before(self, vips, monkeypatch):
        monkeypatch.setattr(reading, "BATCH", 2)
        factories.recipients(5)
        ids = [0, 1, 1, 0, 2, 3, 4, 0]

        done = read(vips, b"id\n" + b"".join(b"person-%d\n" % n for n in ids))

        assert (done.known, done.added, done.duplicates, done.records) == (5, 5, 3, 8)
        assert size(vips) == 5

    def test_who_is_on_it_already_is_known_and_not_added(self, vips):
        factories.recipients(2)
        ListService().add(vips.pk, ["person-0"])

        done = read(vips, b"id\nperson-0\nperson-1\n")

        assert (done.known, done.added, size(vips)) == (2, 1, 2)

    def test_an_address_means_everyone_who_has_it(self, vips):
        factories.recipient("ada", email="ada@example.com")
        factories.recipient("ada-at-work", email="ADA@example.com")

        done = read(vips, b"Ada@Example.com\nnobody@example.com\nno address\n", identifier="email", has_header=False)

        assert (done.known, done.added, done.unknown, done.invalid) == (1, 2, 1, 1)

    def test_a_phone_number_is_found_however_it_is_written(self, vips):
        factories.recipient("ada", phone="+12025550123")

        done = read(vips, b"'+1 202 555-0123\n", identifier="phone", has_header=False)

        assert (done.known, size(vips)) == (1, 1)

    def test_rejected_rows_are_bounded_and_counted(self, vips, monkeypatch):
        monkeypatch.setattr(reading, "MAX_REJECTS", 2)

        done = read(vips, b"id\na\nb\nc\n")

        assert (done.unknown, ListUploadReject.objects.count()) == (3, 2)

    def test_a_file_that_cannot_be_read_leaves_the_list_and_the_file(self, vips, monkeypatch):
        factories.recipients(1)
        made = UploadService().receive(vips, "x.csv", [b"id\nperson-0\n"], by=None)
        monkeypatch.setattr(reading.Reading, "_finish", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            UploadService().load(made.pk, Mapping(column=0))
        monkeypatch.undo()

        assert size(vips) == 0
        assert UploadService().load(made.pk, Mapping(column=0)).added == 1

    def test_a_file_that_is_too_large_is_refused(self, vips, monkeypatch):
        monkeypatch.setattr(uploads, "MAX_BYTES", 5)

        with pytest.raises(UploadRefused, match="split it"):
            UploadService().receive(vips, "x.csv", [b"id\nperson-0\n"], by=None)

    @pytest.mark.parametrize(
        ("content", "guess"),
        [
            (b"name,external_id\nA,u1\n", (1, "external_id", True, ",")),
            (b"email;id\na@b.c;u1\n", (1, "external_id", True, ";")),
            (b"Name\tE-mail\nA\ta@b.cc\n", (1, "email", True, "\t")),
            (b"a@example.com\n", (0, "email", False, ",")),
            (b"u1\nu2\n", (0, "external_id", False, ",")),
        ],
    )
    def test_the_columns_are_guessed(self, vips, content, guess):
        made = UploadService().receive(vips, "x.csv", [content], by=None)

        found = UploadService().look(made).guess

        assert (found.column, found.identifier, found.has_header, found.delimiter) == guess

    def test_what_was_left_behind_goes_in_time(self, vips):
        done = read(vips, b"id\nnobody\n")
        UploadService().receive(vips, "x.csv", [b"id\n"], by=None)
        uploads.purge()
        assert (ListUpload.objects.count(), ListUploadReject.objects.count()) == (2, 1)

        ListUpload.objects.update(created_at=timezone.now() - timedelta(days=2))
        ListUpload.objects.filter(pk=done.pk).update(finished_at=timezone.now() - timedelta(days=31))
        uploads.purge()

        assert list(ListUpload.objects.all()) == [done]
        assert not ListUploadReject.objects.exists()
