"""Links are kept as long as a message of the record may lead to them."""

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from analytics.engagement import retention
from analytics.engagement.links import LinkBook, url_hash
from analytics.models import TrackedLink
from core import ids

pytestmark = pytest.mark.django_db


def link(url: str, *, days_ago: int) -> TrackedLink:
    used_on = timezone.now().date() - timedelta(days=days_ago)
    return TrackedLink.objects.create(url=url, url_hash=ids.uuid(url_hash(url)), used_on=used_on)


def left() -> set[str]:
    return set(TrackedLink.objects.values_list("url", flat=True))


def test_links_outlive_the_record_by_two_weeks_and_then_go(settings):
    settings.RETENTION_WEEKS = 2
    link("https://x.example/old", days_ago=29)
    link("https://x.example/new", days_ago=27)

    assert retention.purge() == 1

    assert left() == {"https://x.example/new"}


def test_they_are_kept_for_ever_where_the_record_is(settings):
    settings.RETENTION_WEEKS = 0
    link("https://x.example/old", days_ago=5_000)

    assert retention.purge() == 0


def test_a_link_that_is_sent_again_is_as_good_as_new(settings):
    settings.RETENTION_WEEKS = 2
    link("https://x.example/a", days_ago=100)

    LinkBook().refs([("https://x.example/a", bytes(16))], short=True)

    assert retention.purge() == 0
    assert TrackedLink.objects.get().used_on >= timezone.now().date() - timedelta(days=1)


def test_a_call_is_bounded_and_the_next_goes_on(settings, monkeypatch):
    settings.RETENTION_WEEKS = 1
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "BATCHES", 2)
    for n in range(5):
        link(f"https://x.example/{n}", days_ago=100)

    assert [retention.purge() for _ in range(3)] == [4, 1, 0]


def test_maintenance_does_it():
    assert "analytics.engagement.retention.purge" in django_settings.MAINTENANCE_TASKS
