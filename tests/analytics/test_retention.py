"""Old counters end."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from analytics import retention
from analytics.models import MinuteCount
from analytics.observer import MinuteCounts
from notifications.observers import OutcomeKey

pytestmark = pytest.mark.django_db
KEYS = {OutcomeKey("api:abc", 1, "email", "smtp", "sent"): 3, OutcomeKey("api:abc", 1, "sms", "", "failed"): 1}


def counted(*days: int) -> None:
    for ago in days:
        MinuteCounts().record(KEYS, timezone.now() - timedelta(days=ago))


def test_counters_older_than_the_setting_are_deleted(settings: Any) -> None:
    settings.COUNTS_RETENTION_DAYS = 400
    counted(399, 401, 800)

    assert retention.purge() == 4

    assert MinuteCount.objects.filter(minute__gt=timezone.now() - timedelta(days=400)).count() == 2
    assert MinuteCount.objects.count() == 2
    assert retention.purge() == 0


def test_one_call_is_bounded_and_the_next_goes_on(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.COUNTS_RETENTION_DAYS = 10
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "BATCHES", 2)
    counted(20, 21, 22)

    assert retention.purge() == 4
    assert MinuteCount.objects.get(channel="email").minute > timezone.now() - timedelta(
        days=21
    )  # the oldest went first
    assert retention.purge() == 2


def test_0_keeps_everything(settings: Any) -> None:
    settings.COUNTS_RETENTION_DAYS = 0
    counted(3000)

    assert retention.purge() == 0
    assert MinuteCount.objects.exists()
