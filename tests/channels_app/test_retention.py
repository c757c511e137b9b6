"""Old items leave the inbox, and open tabs hear that something changed."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from django.utils.module_loading import import_string

from channels_app import retention, store
from channels_app.models import FeedCursor, FeedItem
from core import ids
from preferences.models import Recipient
from tests import factories

pytestmark = pytest.mark.django_db


def item(person: Recipient, title: str, *, accepted: int, shown: int | None = None) -> None:
    """An item of a delivery accepted some days ago, and shown then or later."""
    id = ids.deterministic(_ago(accepted), (title,))
    store.insert([store.NewItem(id, person.id, "orders", title, "", "", "", {})])
    FeedItem.objects.filter(id=id).update(created_at=_ago(accepted if shown is None else shown))


def _ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def titles() -> set[str]:
    return set(FeedItem.objects.values_list("title", flat=True))


def test_items_older_than_the_setting_are_deleted_read_or_not(settings: Any) -> None:
    settings.FEED_RETENTION_DAYS = 30
    person = factories.recipient()
    item(person, "old", accepted=31)
    item(person, "older, read", accepted=60)
    FeedItem.objects.filter(title="older, read").update(read_at=_ago(59))
    item(person, "young", accepted=29)
    item(person, "planned long ago, shown lately", accepted=300, shown=2)

    assert retention.purge() == 2

    assert titles() == {"young", "planned long ago, shown lately"}
    assert retention.purge() == 0


def test_a_feed_that_lost_items_has_another_version_and_others_do_not(settings: Any) -> None:
    settings.FEED_RETENTION_DAYS = 30
    loser, other = factories.recipient(), factories.recipient()
    for n in range(3):
        item(loser, f"old {n}", accepted=40)
    item(other, "young", accepted=1)
    before = dict(FeedCursor.objects.values_list("recipient_id", "version"))

    retention.purge()

    after = dict(FeedCursor.objects.values_list("recipient_id", "version"))
    assert after == {loser.id: before[loser.id] + 1, other.id: before[other.id]}
    assert store.counts_of(loser.id).unread == 0
    item(loser, "new", accepted=0)
    assert FeedItem.objects.get(title="new").seq == 4  # numbers are not given out twice


def test_one_call_is_bounded_and_the_next_goes_on(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FEED_RETENTION_DAYS = 30
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "BATCHES", 2)
    person = factories.recipient()
    for n in range(5):
        item(person, str(n), accepted=50 - n)

    assert retention.purge() == 4
    assert titles() == {"4"}  # the oldest went first
    assert retention.purge() == 1


def test_0_keeps_everything(settings: Any) -> None:
    settings.FEED_RETENTION_DAYS = 0
    item(factories.recipient(), "ancient", accepted=3000)

    assert retention.purge() == 0
    assert titles() == {"ancient"}


def test_maintenance_can_find_every_task(settings: Any) -> None:
    purges = [path for path in settings.MAINTENANCE_TASKS if path.endswith(".purge")]

    assert [import_string(path)() for path in purges] == [0] * len(purges)
